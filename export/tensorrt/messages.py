"""Receive what TensorRT reports during a build: messages, parser errors, and progress for a bar."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

import onnx
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

from ...runtime.system.tensorrt import load

if TYPE_CHECKING:  # the stubs of one flavour check the calls to both
    import tensorrt as trt


class BuildProgress:
    """A progress bar of the builder's nested phases, by which a build can be cancelled.

    A context manager. Its methods may be called from any thread.
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
        """Make the builder stop at its next step."""
        self._cancelled = True

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        """Begin a phase; several of the same name can run at once."""
        with self._lock:
            above = self._tasks.get(parent or "")
            depth = above[-1][1] + 1 if above else 0
            task = self._progress.add_task("  " * depth + phase, total=steps)
            self._tasks.setdefault(phase, []).append((task, depth))

    def step(self, phase: str, step: int) -> bool:
        """Complete step `step` (from 0) of a phase; return False if the builder should stop."""
        with self._lock:
            if running := self._tasks.get(phase):
                self._progress.update(running[-1][0], completed=step + 1)
        return not self._cancelled

    def finish(self, phase: str) -> None:
        """End a phase, complete or not."""
        with self._lock:
            if running := self._tasks.get(phase):
                self._progress.remove_task(running.pop()[0])


def parser_errors(parser: trt.OnnxParser, model: onnx.ModelProto) -> list[str]:
    """Return the errors of a parser, each with its node."""
    return [_parser_error(parser.get_error(i), model) for i in range(parser.num_errors)]


def _parser_error(parser_error: trt.ParserError, model: onnx.ModelProto) -> str:
    index = parser_error.node()  # -1: no node
    node = model.graph.node[index] if 0 <= index < len(model.graph.node) else None
    where = f"node '{node.name}' ({node.op_type}): " if node else ""
    return f"{where}{parser_error.desc()} ({parser_error.code()}, {parser_error.func()})"


def build_monitor(flavour: str, progress: BuildProgress) -> trt.IProgressMonitor:
    """Return a monitor that forwards the builder's reports to `progress`; it has to outlive the build."""
    if not TYPE_CHECKING:
        trt = load(flavour)

    class Monitor(trt.IProgressMonitor):
        """Forwards the builder's reports to the progress bar."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str, num_steps: int) -> None:
            progress.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return progress.step(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            progress.finish(phase_name)

    return Monitor()
