"""Rebuild an engine by running n2b-export as a program; the runtime itself cannot build."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from ...errors import EnvironmentFault
from ...system.packages import is_installed

_STDERR = 2


def rebuild_command(arguments: list[str]) -> str:
    """Return the command line equivalent to `run_export`."""
    return shlex.join(["n2b-export", *arguments])


def run_export(
    model: Path, arguments: list[str], *, package: str = "n2b.export", last_step_s: float = 30
) -> None:
    """Run n2b-export, whose progress and messages go to standard error; it can take minutes.

    Args:
        package: run as a program, never imported.
        last_step_s: time after Ctrl-C for the builder's current step; then the program is terminated.

    Raises:
        EnvironmentFault: n2b-export is not installed, or failed.
        KeyboardInterrupt: Ctrl-C was pressed; n2b-export has ended.
    """
    if not is_installed(package):
        raise EnvironmentFault(
            f"{model} cannot be rebuilt: n2b-export is not installed: "
            f"pip install 'noise2blur[export]', then {rebuild_command(arguments)}"
        )
    export = subprocess.Popen(
        [sys.executable, "-m", package, *arguments],
        stdout=_STDERR,  # the caller may print JSON on standard output
        env={**os.environ, "PYTHONSAFEPATH": "1"},  # no imports from the current folder
    )
    status = _wait(export, last_step_s)
    if status:
        raise EnvironmentFault(
            f"{model} could not be rebuilt (exit status {status}, its message is above); "
            f"resolve that, then {rebuild_command(arguments)}"
        )


def _wait(export: subprocess.Popen[bytes], last_step_s: float) -> int:
    """Return the exit status of n2b-export; after Ctrl-C, which reaches it too, give it time to stop."""
    try:
        return export.wait()
    except KeyboardInterrupt:
        try:
            export.wait(last_step_s)
        except subprocess.TimeoutExpired:
            export.terminate()
            export.wait()
        raise
