"""The echo program as a child process, driven by what it says and never by a clock."""

from __future__ import annotations

import functools
import json
import os
import re
import select
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tools import ROOT, SetupError

PATIENCE = 30.0
"""Seconds after which a program that should have answered counts as stuck."""

LISTENING = re.compile(r"listening on (wss?://127\.0\.0\.1:(\d+))\n")


@functools.cache
def program() -> Path:
    """The program under test: `$SOCKEYE_ECHO`, else a release build of this checkout."""
    given = os.environ.get("SOCKEYE_ECHO")
    if given:
        path = Path(given).resolve()
        if not os.access(path, os.X_OK):
            raise SetupError(f"there is no program at {path}")
        return path
    built = subprocess.run(
        ["cargo", "build", "--release", "-p", "sockeye-echo", "--message-format", "json-render-diagnostics"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    if built.returncode != 0:
        raise SetupError("the echo program does not build")
    messages = map(json.loads, built.stdout.splitlines())
    return Path([m["executable"] for m in messages if m.get("executable")][-1])


def choose_program(path: Path | None) -> None:
    """Makes `path` the program under test, here and in the processes that are started from here."""
    if path is not None:
        os.environ["SOCKEYE_ECHO"] = str(path.resolve())
    os.environ["SOCKEYE_ECHO"] = str(program())


def command(*arguments: str) -> list[str]:
    """The program with these arguments, on the adapter that `$SOCKEYE_ADAPTER` names if they name none."""
    adapter = os.environ.get("SOCKEYE_ADAPTER")
    chosen = ["--adapter", adapter] if adapter and "--adapter" not in arguments else []
    return [str(program()), *chosen, *arguments]


def lines(stream: IO[bytes], patience: float = PATIENCE) -> Iterator[str]:
    """The lines of a pipe (made with `bufsize=0`) until its end.

    Raises `TimeoutError` when one takes longer than `patience` seconds.
    """
    pending = b""
    while True:
        ready, _, _ = select.select([stream], [], [], patience)
        if not ready:
            raise TimeoutError(f"no output for {patience:.0f} s")
        piece = os.read(stream.fileno(), 1 << 16)
        pending += piece
        *whole, pending = pending.split(b"\n")
        for line in whole:
            yield line.decode(errors="replace") + "\n"
        if not piece:
            if pending:
                yield pending.decode(errors="replace")
            return


def crashed(code: int, stderr: str) -> str | None:
    """What betrays a panic or a signal, which no test may pass over."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    if code == 101 or "panicked" in stderr or "stack backtrace" in stderr:
        return "panicked"
    return None


class Server:
    """`sockeye-echo --listen 127.0.0.1:0` for the length of a `with` block.

    Entering waits for the line that names the port; leaving ends the program
    by SIGTERM and insists that it exits 0 and did not panic.
    """

    def __init__(self, *arguments: str, descriptors: int | None = None) -> None:
        """`descriptors`: how many the program may have open."""
        self._command = command("--listen", "127.0.0.1:0", *arguments)
        if descriptors is not None:
            self._command = ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh", *self._command]

    def __enter__(self) -> Server:
        self._stderr = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            bufsize=0,
            env={**os.environ, "RUST_BACKTRACE": "1"},
        )
        self._said = lines(self.process.stdout)
        try:
            first = next(self._said, "")
            match = LISTENING.fullmatch(first)
            if match is None:
                raise AssertionError(f"the first line on stdout was {first!r}\n{self.stderr()}")
        except BaseException:
            self._kill()
            raise
        self.url, self.port = match[1], int(match[2])
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                code = self.stop()
                assert code == 0, f"the server ended with {code}\n{self.stderr()}"
        finally:
            self._kill()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Asks the program to end, checks that it did so in good order, and returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.ended()

    def ended(self) -> int:
        """Waits for the end and returns the exit code."""
        try:
            rest = "".join(self._said)
            code = self.process.wait(PATIENCE)
        except (TimeoutError, subprocess.TimeoutExpired):
            raise AssertionError(f"the server did not end within {PATIENCE:.0f} s\n{self.stderr()}") from None
        assert rest == "", f"more than one line on stdout: {rest!r}"
        crash = crashed(code, self.stderr())
        assert crash is None, f"the server {crash}\n{self.stderr()}"
        return code

    def stderr(self) -> str:
        """What the program has logged so far."""
        size = os.fstat(self._stderr.fileno()).st_size
        return os.pread(self._stderr.fileno(), size, 0).decode(errors="replace")

    def _kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self._stderr.close()


def run(*arguments: str, patience: float = PATIENCE) -> subprocess.CompletedProcess[str]:
    """Runs the program to its end; `subprocess.TimeoutExpired` when there is none within `patience` seconds."""
    return subprocess.run(
        command(*arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=patience,
        env={**os.environ, "RUST_BACKTRACE": "1"},
    )
