"""Collect the errors that TensorRT logs, for error messages."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from ...system.tensorrt import load

if TYPE_CHECKING:  # the stubs of one flavour check the calls to both
    import tensorrt as trt

_logger = logging.getLogger(__name__)
_MOST_ERRORS = 100
_loggers: dict[str, tuple[Any, Any]] = {}  # TensorRT keeps its first one for the life of the process


def tensorrt_logger(flavour: str) -> Any:
    """Return the logger of a flavour, for its runtime and its builder alike.

    It keeps the latest errors: `take_errors()` returns them as one line, and forgets them. It logs nothing,
    unless `shown` is set to the severity (an int) up to which messages are logged.
    """
    module = load(flavour)
    if flavour not in _loggers or _loggers[flavour][0] is not module:
        _loggers[flavour] = module, _make_logger(module, flavour)
    return _loggers[flavour][1]


def _make_logger(module: Any, flavour: str) -> Any:
    if not TYPE_CHECKING:
        trt = module

    class Logger(trt.ILogger):
        """Keeps the latest errors."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.shown = -1
            self._errors: deque[str] = deque(maxlen=_MOST_ERRORS)

        def log(self, severity: trt.ILogger.Severity, msg: str) -> None:
            if int(severity) <= int(trt.ILogger.ERROR):
                self._errors.append(msg)
            if int(severity) <= self.shown:
                _logger.info(f"{flavour}: {msg}")

        def take_errors(self) -> str:
            errors = "; ".join(dict.fromkeys(self._errors))  # in order, without repetitions
            self._errors.clear()
            return errors

    return Logger()


def is_out_of_memory(error: str) -> bool:
    """Return whether an error of TensorRT means that memory ran out."""
    error = error.lower()
    return "memory" in error and any(word in error for word in ("out of", "alloc", "insufficient"))
