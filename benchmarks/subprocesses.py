"""Run a command in a process of its own, with its output in a log file."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from n2b.runtime.errors import EnvironmentFault

_INTERRUPTED_WAIT_S = 60  # n2b-train finishes its step and writes a checkpoint


@dataclass(frozen=True)
class Usage:
    """Time that a command took."""

    seconds: float
    cpu_seconds: float


def run_logged(
    command: Sequence[str], *, log: Path, cwd: Path, environment: Mapping[str, str] | None = None
) -> Usage:
    """Run a command to its end and append its output to a log file.

    Args:
        command: the program and its arguments.
        log: made if missing.
        cwd: folder to run it in.
        environment: variables to set in addition to those of this process.

    Raises:
        EnvironmentFault: the command failed; the message is the last line of its output.
    """
    started, cpu_before = time.monotonic(), _cpu_seconds_of_children()
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
        )
        try:
            status = process.wait()
        except KeyboardInterrupt:  # the child has received it too
            process.wait(_INTERRUPTED_WAIT_S)
            raise
        except BaseException:  # only this process was asked to end
            process.terminate()
            process.wait(_INTERRUPTED_WAIT_S)
            raise
    if status:
        lines = log.read_text(errors="replace").strip().splitlines() or [f"exit status {status}"]
        raise EnvironmentFault(f"{lines[-1]} (see {log})")
    return Usage(time.monotonic() - started, _cpu_seconds_of_children() - cpu_before)


def _cpu_seconds_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
