"""Start the commands, and kill them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

SERVER = Path(__file__).with_name("fork_server.py")
KILLED = -9  # status of a process that SIGKILL ended


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    seconds: float
    events: int  # how often it changed a file in its folder; 0 if it was killed
    log: str


class ForkServer:
    """A process that has imported all that the commands import, and runs each in a fork of itself."""

    def __enter__(self) -> ForkServer:
        one_core = {**os.environ, "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, str(SERVER)], env=one_core, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def run(
        self,
        folder: Path,
        program: str,
        arguments: Sequence[str],
        *,
        after_s: float | None = None,
        at_event: int | None = None,
    ) -> Ended:
        """Run a command in a folder, and kill it after some time, or before it changes a file there."""
        log = folder.with_name(f"{folder.name}.log")
        cache = {"XDG_CACHE_HOME": str(folder.with_name(f"{folder.name}.cache"))}
        answer = self._ask(
            folder=str(folder), program=program, arguments=list(arguments), environment=cache,
            log=str(log), after_s=after_s, at_event=at_event,
        )  # fmt: skip
        return Ended(**answer, log=log.read_text(errors="replace"))

    def _ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())
