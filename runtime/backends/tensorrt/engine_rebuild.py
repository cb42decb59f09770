"""Building an engine again, by the n2b-export program: the runtime itself knows nothing of building."""

from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
import sys
from pathlib import Path

from ...errors import EnvironmentFault

_EXPORT = "n2b.export"  # run as a program, never imported
_STDERR = 2
_LAST_STEP_S = 30  # a builder ends after the step that it is at


def rebuild_command(arguments: list[str]) -> str:
    """The command that a user types to do what `run_export` does."""
    return shlex.join(["n2b-export", *arguments])


def run_export(model: Path, arguments: list[str]) -> None:
    """Run n2b-export, whose progress and messages go to standard error; it can take minutes.

    Args:
        model: the engine that it writes.
        arguments: as given by `rebuild_arguments`.

    Raises:
        EnvironmentFault: n2b-export is not installed, or failed.
        KeyboardInterrupt: Ctrl-C was pressed; n2b-export has ended.
    """
    if importlib.util.find_spec(_EXPORT) is None:
        raise EnvironmentFault(
            f"{model} cannot be rebuilt, since n2b-export is not installed here: "
            f"pip install 'noise2blur[export]', then {rebuild_command(arguments)}"
        )
    export = subprocess.Popen(
        [sys.executable, "-m", _EXPORT, *arguments],
        stdout=_STDERR,  # standard output belongs to the caller, who may print JSON there
        env={**os.environ, "PYTHONSAFEPATH": "1"},  # the current folder is for pictures, not for packages
    )
    status = _wait(export)
    if status:
        raise EnvironmentFault(
            f"{model} could not be rebuilt (exit status {status}, its message is above); "
            f"see to that, then {rebuild_command(arguments)}"
        )


def _wait(export: subprocess.Popen[bytes]) -> int:
    """The exit status of n2b-export, which hears Ctrl-C too, and is given the time to end its build."""
    try:
        return export.wait()
    except KeyboardInterrupt:
        try:
            export.wait(_LAST_STEP_S)
        except subprocess.TimeoutExpired:
            export.terminate()
            export.wait()
        raise
