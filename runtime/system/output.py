"""Standard output and standard error that never end a run, whatever they cannot take."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any


def tolerate_any_output(name: str) -> None:
    """Make standard output and standard error take any text, also when they are full or their reader is gone.

    Characters that their encoding lacks are escaped. A stream that failed takes no more lines; for standard
    output a line is printed, unless its reader left, as of `| head`. A closed one is replaced by the null
    device: the next file that is opened would get its number, and what libraries print.

    Args:
        name: of the command, for that line.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    for standard in ("stdout", "stderr"):
        stream = getattr(sys, standard)
        if isinstance(stream, _Tolerant):
            continue
        is_closed = stream is None
        if is_closed:  # print(file=None) would use standard output
            stream = open(os.devnull, "w")  # noqa: SIM115, for the whole run
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.reconfigure(errors="backslashreplace")
        report = partial(_report, name) if standard == "stdout" else None
        setattr(sys, standard, _Tolerant(stream, report, is_closed=is_closed))


def finish_output() -> bool:
    """Write what is buffered; at exit Python would report a full output as an error.

    Returns:
        False if standard output could not take everything, though somebody may read it.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, _Tolerant):
            stream.finish()
    return not (isinstance(sys.stdout, _Tolerant) and sys.stdout.has_lost)


def is_output_closed() -> bool:
    """Return True if standard output was closed when the command began."""
    return isinstance(sys.stdout, _Tolerant) and sys.stdout.is_closed


class _Tolerant:
    """A text stream that ignores everything after an error of writing.

    Attributes:
        has_lost: True after an error other than that its reader left.
        is_closed: as given.
    """

    def __init__(
        self, stream: Any, report: Callable[[Exception], None] | None, *, is_closed: bool = False
    ) -> None:
        self._stream = stream
        self._report = report
        self._has_failed = self.has_lost = False
        self.is_closed = is_closed

    def write(self, text: str) -> int:
        self._try(lambda: self._stream.write(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def finish(self) -> None:
        self.flush()
        if not self._has_failed:
            return
        with contextlib.suppress(OSError, ValueError, AttributeError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())  # takes what is still buffered
            os.close(null)
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _try(self, work: Callable[[], object]) -> None:
        if self._has_failed:
            return
        try:
            work()
        except (OSError, ValueError) as error:
            self._has_failed = True
            self.has_lost = not isinstance(error, BrokenPipeError)
            if self.has_lost and self._report is not None:
                self._report(error)


def _report(name: str, error: Exception) -> None:
    if sys.stderr is not None:
        reason = getattr(error, "strerror", None) or error
        print(f"{name}: standard output cannot be written: {reason}", file=sys.stderr, flush=True)
