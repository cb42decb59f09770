"""Run a slow filter on all cores: one process for each thread that calls it.

The processes are fresh interpreters: a fork would copy torch's locks but not the threads that hold them,
and multiprocessing's spawn would import the main script again, which may have no guard. They have sessions
of their own, so that Ctrl-C reaches the parent alone, which ends them; and they end with the parent,
however it ends, since their pipes close. joblib's loky gives neither (tried with 1.6): its workers share
the terminal's process group, and they keep running when the parent is killed.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from contextlib import suppress

import numpy as np

from ...runtime.errors import EnvironmentFault, N2BError
from .filters import Filter


class FilterProcesses:
    """A filter, callable from several threads at once; a context manager."""

    def __init__(self, blur: Filter) -> None:
        self._blur = blur
        self._of_thread = threading.local()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()
        self._is_closed = False

    def __enter__(self) -> FilterProcesses:
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes at once; pending calls raise EnvironmentFault."""
        with self._lock:
            self._is_closed = True
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):  # unsent data has no reader any more
                    pipe.close()  # type: ignore[union-attr]

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return the filtered image, uint8 (H, W, 3).

        Raises:
            EnvironmentFault: the filter failed, or its process died.
        """
        try:
            process = self._process()
            assert process.stdout is not None
            _send(image, process)
            result = pickle.load(process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise EnvironmentFault(
                f"a process of the filter {self._blur.name} ended, perhaps for lack of memory; free some and "
                "train again: the finished labels are cached"
            ) from error
        if isinstance(result, str):
            raise EnvironmentFault(result)
        return result

    def _process(self) -> subprocess.Popen[bytes]:
        """Return the process of this thread."""
        if not hasattr(self._of_thread, "process"):
            program = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import serve; serve()"
            with self._lock:
                if self._is_closed:
                    raise EnvironmentFault(f"the filter {self._blur.name} was stopped")
                process = subprocess.Popen(
                    [sys.executable, "-c", program],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    start_new_session=True,
                )
                self._processes.append(process)
            _send(self._blur, process)
            self._of_thread.process = process
        return self._of_thread.process


def _send(message: Filter | np.ndarray, process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    pickle.dump(message, process.stdin)
    process.stdin.flush()


def serve() -> None:
    """Serve as worker process: read the filter, then images; write filtered images, or an error as text."""
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the filter's libraries print is no result
    with suppress(EOFError, BrokenPipeError, pickle.UnpicklingError):  # the parent has ended
        blur: Filter = pickle.load(sys.stdin.buffer)
        while True:
            pickle.dump(_filtered(blur, pickle.load(sys.stdin.buffer)), results)
            results.flush()


def _filtered(blur: Filter, image: np.ndarray) -> np.ndarray | str:
    try:
        return blur(image)
    except N2BError as error:
        return str(error)
    except Exception as error:
        return f"the filter {blur.name} failed: {type(error).__name__}: {error}"
