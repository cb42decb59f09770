"""Standard output and standard error that never end a run, whatever they cannot take."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any


def tolerate_any_output() -> None:
    """Make standard output and standard error take any text, also when they are full or their reader is gone.

    Characters that their encoding lacks are escaped. A stream that failed takes no more lines; for standard
    output a warning is printed, unless its reader left, as of `| head`. A closed one is replaced by the null
    device: the next file that is opened would get its number, and what libraries print.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, _Tolerant):
            continue
        if stream is None:  # it was closed; print(file=None) would use standard output
            stream = open(os.devnull, "w")  # noqa: SIM115, for the whole run
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.reconfigure(errors="backslashreplace")
        setattr(sys, name, _Tolerant(stream, warn=_warn if name == "stdout" else None))


def finish_output() -> None:
    """Write what is buffered; at exit Python would report a full output as an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, _Tolerant):
            stream.finish()


class _Tolerant:
    """A text stream that ignores everything after an error of writing."""

    def __init__(self, stream: Any, warn: Callable[[Exception], None] | None) -> None:
        self._stream = stream
        self._warn = warn
        self._has_failed = False

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
            if self._warn is not None:
                self._warn(error)


def _warn(error: Exception) -> None:
    if not isinstance(error, BrokenPipeError) and sys.stderr is not None:
        reason = getattr(error, "strerror", None) or error
        print(f"warning: standard output cannot be written: {reason}", file=sys.stderr, flush=True)
