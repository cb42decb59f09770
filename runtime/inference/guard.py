"""Let one thread at a time run a model, and none after it is closed, at exit, or in a forked process."""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from ..backends import Backend
from ..errors import UserError
from ..system import prefetch  # noqa: F401, so that its threads end at exit after those that are in a model
from .executor import TileExecutor

CLOSED = "this Denoiser is closed; make a new one"
_FORKED = "this Denoiser was opened before fork(), and its threads are gone; make a new one in each process"
_BUSY = "this Denoiser is in the middle of an image; use or close it after that, not in on_progress"
_EXIT_S = 60.0  # longest wait for a model at exit
_open: weakref.WeakSet[ModelGuard] = weakref.WeakSet()


class ModelGuard:
    """A model that several threads share; it is closed at exit.

    Args:
        backend: closed with it.
        executor: runs the backend.
    """

    def __init__(self, backend: Backend, executor: TileExecutor) -> None:
        self._backend: Backend | None = backend
        self._executor: TileExecutor | None = executor
        self._lock = threading.Lock()
        self._users: set[int] = set()  # threads that hold the lock, or do so again after their on_progress
        executor.pause = self._paused
        self._refusal: Callable[[], BaseException] = partial(UserError, CLOSED)
        _open.add(self)

    @property
    def is_open(self) -> bool:
        """True until it is closed."""
        return self._executor is not None

    def check(self) -> None:
        """Raise UserError unless it is open, and another thread than this may wait for it."""
        if threading.get_ident() in self._users:
            raise UserError(_BUSY)
        if self._executor is None:
            raise self._refusal()

    @contextmanager
    def use(self) -> Iterator[TileExecutor]:
        """Give this thread alone the model within the block.

        Raises:
            UserError: it is closed, or this thread has it already.
        """
        with self._alone():
            if self._executor is None:
                raise self._refusal()
            yield self._executor

    def close(self) -> None:
        """Free the model; waits for a thread that runs it. May be called again.

        Raises:
            UserError: this thread runs it.
        """
        with self._alone():
            self._close()

    def end(self) -> None:
        """Free the model at exit; a thread that runs it stops after its batch.

        A thread that returned from a library when the interpreter is gone would abort the process. Only
        daemon threads are left now, which end at the exit without a word.
        """
        if self._executor is not None:
            self._refusal = SystemExit
            self._executor.refuse(SystemExit)
        if threading.get_ident() not in self._users and self._lock.acquire(timeout=_EXIT_S):
            try:
                self._close()
            finally:
                self._lock.release()

    def abandon(self) -> None:
        """Give up the model in a forked process, which lacks its threads; freeing it would wait for them."""
        if self._backend is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._backend))  # so that it is never freed
        self._refusal = partial(UserError, _FORKED)
        if self._executor is not None:
            self._executor.refuse(self._refusal)  # where on_progress forked
        self._lock = threading.Lock()  # another thread may have held it
        self._users &= {threading.get_ident()}
        self._backend = self._executor = None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if threading.get_ident() in self._users:
            raise UserError(_BUSY)
        self._lock.acquire()
        self._users.add(threading.get_ident())
        try:
            yield
        finally:
            self._users.discard(threading.get_ident())
            self._lock.release()

    @contextmanager
    def _paused(self) -> Iterator[None]:
        """Let other threads use or close the model within the block, which calls `on_progress`."""
        self._lock.release()
        try:
            yield
        finally:
            self._lock.acquire()  # after a fork another one
        if self._executor is None:
            raise self._refusal()

    def _close(self) -> None:
        backend, self._backend, self._executor = self._backend, None, None
        if backend is not None:
            backend.close()


@atexit.register
def _end_all() -> None:
    for guard in list(_open):
        guard.end()


def _abandon_all() -> None:
    guards = [guard for guard in _open if guard.is_open]
    for guard in guards:
        guard.abandon()
    if guards:
        _skip_exit_handlers()


def _skip_exit_handlers() -> None:
    """End this process without those of C libraries, in which ONNX Runtime waits for its threads."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit"):  # glibc; handlers registered last run first
        libc.on_exit(ctypes.cast(libc._exit, ctypes.c_void_p), None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
