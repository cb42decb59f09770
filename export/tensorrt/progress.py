"""The progress bar of an engine build: nested phases, named by the builder, with the time each has left."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from time import monotonic

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class BuildProgress:
    """Shows the phases that a builder reports, and carries the user's wish to end it back to the builder.

    A context manager. Its methods may be called from any thread.

    Args:
        console: where to; None: standard error.
        clock: the time in seconds.
    """

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = monotonic) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            get_time=clock,
            console=console or Console(stderr=True),
            transient=True,
        )
        self._tasks: dict[str, list[tuple[TaskID, int]]] = {}  # by name: running phases and their depths
        self._lock = Lock()
        self._cancelled = False

    def __enter__(self) -> BuildProgress:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def cancel(self) -> None:
        """Ask the builder to end at its next step."""
        self._cancelled = True

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        """A phase begins; the same name can run several times at once."""
        with self._lock:
            above = self._tasks.get(parent or "")
            depth = above[-1][1] + 1 if above else 0
            task = self._progress.add_task("  " * depth + phase, total=steps)
            self._tasks.setdefault(phase, []).append((task, depth))

    def step(self, phase: str, step: int) -> bool:
        """Step `step` (from 0) of a phase is done; False: the builder should end."""
        with self._lock:
            if running := self._tasks.get(phase):
                self._progress.update(running[-1][0], completed=step + 1)
        return not self._cancelled

    def finish(self, phase: str) -> None:
        """A phase ends, complete or not."""
        with self._lock:
            if running := self._tasks.get(phase):
                self._progress.remove_task(running.pop()[0])
