"""Load OpenCV, and keep it from printing."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from ..errors import MissingPackageError
from .packages import opencv_hint, repair_hint


def load_opencv() -> Any:
    """Return the cv2 module.

    Raises:
        MissingPackageError: it, or a library that it needs, is not installed.
    """
    try:
        import cv2
    except ImportError as error:  # e.g. libGL.so.1, which opencv-python needs and a slim container lacks
        if isinstance(error, ModuleNotFoundError) and error.name == "cv2":
            raise MissingPackageError("OpenCV", hint=opencv_hint()) from error
        raise MissingPackageError("OpenCV", reason=str(error), hint=_repair_hint()) from error
    if not hasattr(cv2, "imdecode"):
        raise MissingPackageError("OpenCV", reason="its folder is empty", hint=_repair_hint())
    return cv2


def _repair_hint() -> str:
    hint = repair_hint("cv2", "")
    return "pip install opencv-python-headless in its place" if hint.startswith("pip") else hint


class _StandardError:
    """The process's standard error, redirected to a file in memory while anyone needs quiet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._is_closed = False
        self._kept: int | None = None  # descriptor of the real standard error; never closed
        self._kept_stream: TextIO | None = None  # for Python's messages, on that descriptor
        self._python: TextIO | None = None  # what sys.stderr was
        self._messages = -1  # descriptor of what libraries print meanwhile
        self._process = -1  # that opened it: a forked one needs a file of its own

    def close(self) -> None:
        with self._lock:
            self._users += 1
            if self._users > 1 or not self._keep():
                return
            self._python = sys.stderr
            if self._python is not None and _writes_to_standard_error(self._python):
                with suppress(OSError, ValueError):  # its reader died
                    self._python.flush()
                sys.stderr = self._kept_stream
            os.dup2(self._messages, 2)
            self._is_closed = True

    def open(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users or not self._is_closed or self._kept is None:
                return
            os.dup2(self._kept, 2)
            self._is_closed = False
            if sys.stderr is self._kept_stream:
                sys.stderr = self._python
            os.ftruncate(self._messages, 0)
            os.lseek(self._messages, 0, os.SEEK_SET)

    def size(self) -> int:
        """Return the size in bytes of what libraries printed since all was quiet."""
        return os.fstat(self._messages).st_size if self._is_closed else 0

    def read(self, start: int) -> str:
        """Return what libraries printed from `start` on."""
        count = self.size() - start
        if count <= 0:
            return ""
        if hasattr(os, "pread"):
            return os.pread(self._messages, count, start).decode(errors="replace")
        os.lseek(self._messages, start, os.SEEK_SET)  # Windows
        text = os.read(self._messages, count).decode(errors="replace")
        os.lseek(self._messages, 0, os.SEEK_END)
        return text

    def _keep(self) -> bool:
        """Duplicate the current standard error, /dev/null if the process has none; False if that fails."""
        try:
            _open_standard_error()
            if self._kept is None:
                self._kept = os.dup(2)
            else:
                os.dup2(2, self._kept, inheritable=False)
            if self._process != os.getpid():
                self._messages, self._process = _anonymous_file(), os.getpid()
        except OSError:
            return False
        if self._kept_stream is not None:
            return True
        # write_through: nothing may be buffered for a descriptor that is reused later
        raw = io.FileIO(self._kept, "w", closefd=False)
        self._kept_stream = io.TextIOWrapper(raw, errors="backslashreplace", write_through=True)
        return True


def _anonymous_file() -> int:
    """Return the descriptor of an empty file that is gone when it is closed; only Linux has one in memory."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("messages")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _open_standard_error() -> None:
    """Open /dev/null as standard error if it is closed: messages then never reach another file."""
    try:
        os.fstat(2)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        if nowhere != 2:
            os.dup2(nowhere, 2)
            os.close(nowhere)


def _writes_to_standard_error(stream: Any) -> bool:
    try:
        return stream.fileno() == 2
    except (AttributeError, OSError, ValueError):  # none, or not a file, as in a notebook
        return False


_standard_error = _StandardError()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep OpenCV, and the codecs inside it, from printing to standard error.

    They write to the file descriptor, whatever their log level. Python's own messages still arrive, from any
    thread. May be nested, and entered by several threads at once.
    """
    _standard_error.close()
    try:
        yield
    finally:
        _standard_error.open()


_recording = threading.Lock()
_DEBUG = 5  # OpenCV's log level that also shows the messages of libtiff, before 5.0


@contextmanager
def record_messages() -> Iterator[list[str]]:
    """As `quiet`, and record what is printed to standard error meanwhile; one block at a time.

    A decoder that complains may return an image all the same, and OpenCV lets it do no more than print.

    Yields:
        An empty list; filled with the lines that were printed when the block ends.
    """
    cv2 = load_opencv()
    module = cv2 if hasattr(cv2, "setLogLevel") else getattr(getattr(cv2, "utils", None), "logging", None)
    set_level = getattr(module, "setLogLevel", None)
    lines: list[str] = []
    cv2.getNumThreads()  # starts its threads, which at that level is printed on standard output
    with _recording, quiet():
        start = _standard_error.size()
        level = set_level(_DEBUG) if set_level else None
        try:
            yield lines
        finally:
            if set_level:
                set_level(level)
            lines += _standard_error.read(start).splitlines()
