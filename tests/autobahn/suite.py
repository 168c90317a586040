# Python 2.7, like the suite itself.
"""What the `wstest` command cannot do: say which cases there are, and serve on loopback only.

    suite.py cases PATTERN...    the selected cases as a JSON list
    suite.py serve SPEC          the fuzzing server; prints `listening on PORT`
"""

import json
import os
import sys

# Must come before anything that touches the reactor: it chooses the one to use.
from autobahntestsuite import choosereactor  # noqa: F401
from autobahntestsuite.case import CaseBasename, CaseCategories, Cases, CaseSetname, CaseSubCategories
from autobahntestsuite.caseset import CaseSet
from autobahntestsuite.fuzzing import FuzzingServerFactory
from twisted.internet import reactor


def cases(patterns):
    every = CaseSet(CaseSetname, CaseBasename, Cases, CaseCategories, CaseSubCategories)
    for pattern in patterns:
        if not set(every.resolveCasePatternList([pattern])) & set(every.CasesById):
            sys.exit("no case matches %r" % pattern)
    print(json.dumps(every.parseSpecCases({"cases": patterns})))


def serve(path):
    with open(path) as spec_file:
        spec = json.load(spec_file)
    spec["url"] = "ws://127.0.0.1:80"
    factory = FuzzingServerFactory(spec)
    port = reactor.listenTCP(0, factory, interface="127.0.0.1").getHost().port
    # The suite compares the port of each Host header with the one that it believes in.
    factory.setSessionParameters(url="ws://127.0.0.1:%d" % port, server=factory.server)
    print("listening on %d" % port)
    # The suite reports each case on its standard output; nobody reads that any more.
    sys.stdout = open(os.devnull, "w")
    reactor.run()


if __name__ == "__main__":
    command, arguments = sys.argv[1], sys.argv[2:]
    if command == "cases":
        cases(arguments)
    elif command == "serve":
        serve(*arguments)
    else:
        sys.exit(__doc__)
