"""What TensorRT says while it builds: its messages and its progress."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx

from ...runtime.system.tensorrt import load
from .progress import BuildProgress

if TYPE_CHECKING:  # the stubs of one flavour check the calls to both
    import tensorrt as trt


def parser_errors(parser: trt.OnnxParser, model: onnx.ModelProto) -> list[str]:
    """What a parser complains of, each with the node that it is about."""
    return [_parser_error(parser.get_error(i), model) for i in range(parser.num_errors)]


def _parser_error(parser_error: trt.ParserError, model: onnx.ModelProto) -> str:
    index = parser_error.node()  # -1 where it is about no node
    node = model.graph.node[index] if 0 <= index < len(model.graph.node) else None
    where = f"node '{node.name}' ({node.op_type}): " if node else ""
    return f"{where}{parser_error.desc()} ({parser_error.code()}, {parser_error.func()})"


def build_monitor(flavour: str, progress: BuildProgress) -> trt.IProgressMonitor:
    """A monitor that hands the builder's reports on to `progress`; it has to outlive the build."""
    if not TYPE_CHECKING:
        trt = load(flavour)

    class Monitor(trt.IProgressMonitor):
        """Hands the builder's reports on to the progress bar."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str, num_steps: int) -> None:
            progress.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return progress.step(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            progress.finish(phase_name)

    return Monitor()
