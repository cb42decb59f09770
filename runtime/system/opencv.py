"""Load OpenCV, and keep it from printing."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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
    """The process's standard error, redirected for C libraries while anyone needs quiet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._is_closed = False
        self._kept: int | None = None  # descriptor of the real standard error; never closed
        self._kept_stream: TextIO | None = None  # for Python's messages, on that descriptor
        self._python: TextIO | None = None  # what sys.stderr was
        self._nowhere = -1

    def close(self) -> None:
        with self._lock:
            self._users += 1
            if self._users > 1 or not self._keep():
                return
            self._python = sys.stderr
            if self._python is not None and _writes_to_standard_error(self._python):
                self._python.flush()
                sys.stderr = self._kept_stream
            os.dup2(self._nowhere, 2)
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

    def _keep(self) -> bool:
        """Duplicate the current standard error; return False if the process has none."""
        try:
            if self._kept is not None:
                os.dup2(2, self._kept, inheritable=False)
                return True
            self._kept = os.dup(2)
        except OSError:
            return False
        self._nowhere = os.open(os.devnull, os.O_WRONLY)
        # write_through: nothing may be buffered for a descriptor that is reused later
        raw = io.FileIO(self._kept, "w", closefd=False)
        self._kept_stream = io.TextIOWrapper(raw, errors="backslashreplace", write_through=True)
        return True


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
