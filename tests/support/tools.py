"""What the tests need beside the project, set up once under `.tools/`."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools"


class SetupError(Exception):
    """Something that the tests need is not there and cannot be had."""


def once(name: str, made_from: str, make: Callable[[Path], None]) -> Path:
    """The directory `.tools/NAME`, made anew only when `made_from` has changed.

    The stamp is written last, so a set-up that was cut short counts as none.
    """
    directory = TOOLS / name
    stamp = directory / ".made-from"
    digest = hashlib.sha256(made_from.encode()).hexdigest()
    if stamp.is_file() and stamp.read_text() == digest:
        print(f"found {directory}", flush=True)
        return directory
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    make(directory)
    stamp.write_text(digest)
    print(f"installed {directory}", flush=True)
    return directory


def python_environment(name: str, requirements: Path) -> Path:
    """The interpreter of a virtual environment that holds `requirements`."""
    pinned = requirements.read_text()

    def make(directory: Path) -> None:
        try:
            venv.create(directory, with_pip=True)
        except subprocess.CalledProcessError as error:
            raise SetupError(
                f"{sys.executable} cannot make a virtual environment (on Debian: apt-get install python3-venv)"
            ) from error
        install(directory / "bin" / "python", requirements)

    return once(name, f"{sys.version}\n{pinned}", make) / "bin" / "python"


def install(python: Path, requirements: Path) -> None:
    """Exactly what `requirements` names, and nothing that it does not."""
    run([str(python), "-m", "pip", "install", "--quiet", "--no-deps", "-r", str(requirements)])


def node_modules(directory: Path) -> None:
    """What the lock file of `directory` names, in `node_modules/` beside it: where node looks for it."""
    if shutil.which("npm") is None:
        raise SetupError("npm is not there (install Node.js 20 or newer)")
    name = f"{directory.name}-node"
    if not (directory / "node_modules").is_dir():
        shutil.rmtree(TOOLS / name, ignore_errors=True)

    def make(_: Path) -> None:
        run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(directory)])

    once(name, (directory / "package-lock.json").read_text(), make)


def run(command: list[str], **environment: str) -> None:
    """Runs a set-up command; its output is shown only if it fails."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **environment},
    )
    if done.returncode != 0:
        raise SetupError(f"`{' '.join(command)}` failed:\n{done.stdout}")
