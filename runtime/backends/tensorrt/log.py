"""What TensorRT says while an engine runs, kept for the error message."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from ...system.tensorrt import load

if TYPE_CHECKING:  # the stubs of one flavour check the calls to both
    import tensorrt as trt


@cache  # TensorRT keeps the first logger that it is given for the life of the process
def runtime_logger(flavour: str) -> Any:
    """A logger that prints nothing; `take_error()` gives the last error since it was asked before, or ""."""
    if not TYPE_CHECKING:
        trt = load(flavour)

    class Logger(trt.ILogger):
        """Keeps the last error."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self._error = ""

        def log(self, severity: trt.ILogger.Severity, msg: str) -> None:
            if int(severity) <= int(trt.ILogger.ERROR):
                self._error = msg

        def take_error(self) -> str:
            error, self._error = self._error, ""
            return error

    return Logger()


def is_out_of_memory(error: str) -> bool:
    """Whether an error that TensorRT told of is that memory did not suffice."""
    return "memory" in error.lower() and any(
        word in error.lower() for word in ("out of", "alloc", "insufficient")
    )
