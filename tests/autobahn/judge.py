"""What counts as passing a case, and the table that says so."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

MAY_BE_INFORMATIONAL = frozenset({"7.1.6", "7.13.1", "7.13.2"})
"""The cases for which the suite has no other good word: what they do is left open by RFC 6455."""


@dataclass(frozen=True)
class Verdict:
    """One selected case: what is wrong with it, if anything, and where to read more."""

    case: str
    word: str
    fault: str | None
    report: Path | None

    @property
    def section(self) -> int:
        return int(self.case.split(".")[0])


def judge(selected: list[str], reports: Path, agent: str) -> list[Verdict]:
    """A verdict for each selected case, whether or not the suite got to it."""
    index = reports / "index.json"
    results = json.loads(index.read_text()).get(agent, {}) if index.is_file() else {}
    return [_verdict(case, results.get(case), reports) for case in selected]


def fault(case: str, behavior: str | None, behavior_close: str | None) -> str | None:
    """Why a case with these words in its report does not pass; `None` if it does."""
    good = {"OK", "INFORMATIONAL"} if case in MAY_BE_INFORMATIONAL else {"OK"}
    words = {"behavior": behavior, "behaviorClose": behavior_close}
    wrong = [f"{name} is {word}" for name, word in words.items() if word not in good]
    return ", ".join(wrong) or None


def table(verdicts: list[Verdict]) -> str:
    """One row a section."""
    cases, ok, informational, failed = Counter(), Counter(), Counter(), Counter()
    for verdict in verdicts:
        cases[verdict.section] += 1
        if verdict.fault is not None:
            failed[verdict.section] += 1
        elif verdict.word == "INFORMATIONAL":
            informational[verdict.section] += 1
        else:
            ok[verdict.section] += 1
    rows = [(f"{s}", cases[s], ok[s], informational[s], failed[s]) for s in sorted(cases)]
    rows.append(("all", cases.total(), ok.total(), informational.total(), failed.total()))
    head = f"{'section':>9}{'cases':>8}{'ok':>8}{'informational':>15}{'failed':>8}"
    return "\n".join([head, *(f"{s:>9}{n:>8}{o:>8}{i:>15}{f:>8}" for s, n, o, i, f in rows)])


def row(verdicts: list[Verdict]) -> str:
    """The same in one row of a page: sections 1 to 10, and those about compression."""
    cells = []
    for part in ([v for v in verdicts if v.section < 12], [v for v in verdicts if v.section >= 12]):
        failed = sum(verdict.fault is not None for verdict in part)
        informational = sum(verdict.fault is None and verdict.word == "INFORMATIONAL" for verdict in part)
        cells += [len(part), len(part) - failed - informational, informational, failed]
    # There is nothing informational about compression.
    del cells[6]
    return " | ".join(map(str, cells))


def _verdict(case: str, result: dict[str, str] | None, reports: Path) -> Verdict:
    if result is None:
        return Verdict(case, "MISSING", "missing from the report", None)
    words = result.get("behavior"), result.get("behaviorClose")
    word = "INFORMATIONAL" if "INFORMATIONAL" in words else str(words[0])
    report = reports / result["reportfile"]
    why = fault(case, *words)
    if why is not None and report.is_file():
        details = json.loads(report.read_text())
        why += f": {details.get('result')} {details.get('resultClose')}"
    return Verdict(case, word, why, report)
