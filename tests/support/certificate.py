"""A certificate of 127.0.0.1 that trusts itself, made for a test."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from tools import SetupError


class Certificate(NamedTuple):
    """Files in PEM."""

    chain: Path
    key: Path

    @property
    def flags(self) -> list[str]:
        """For the echo program as a server; the chain is what a client gives as `--tls-roots`."""
        return ["--tls-cert", str(self.chain), "--tls-key", str(self.key)]


def make(directory: Path) -> Certificate:
    if shutil.which("openssl") is None:
        raise SetupError("openssl is not installed")
    made = Certificate(directory / "server.pem", directory / "server.key")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "30", "-subj", "/CN=sockeye test", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", str(made.key), "-out", str(made.chain)]
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return made
