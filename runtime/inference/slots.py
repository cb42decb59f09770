"""The slots of a backend: places where a batch is filled, run and read, each on its own."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ..backends import Backend, OverlappedBackend
from ..errors import N2BError


class Slots(Protocol):
    """Batches on their way; slots are finished in the order in which they were started."""

    count: int

    def buffer(self, slot: int, shape: tuple[int, int, int, int], /) -> np.ndarray:
        """Memory of this shape, N×H×W×3, and the model's dtype, to be filled."""
        ...

    def start(self, slot: int, /) -> None:
        """Begin to run what was filled in."""
        ...

    def finish(self, slot: int, /) -> np.ndarray:
        """Wait for the result; valid until the slot is started again."""
        ...

    def drain(self, slot: int, /) -> None:
        """Wait until nothing touches the slot's memory, whatever became of the batch."""
        ...


def slots_of(backend: Backend) -> Slots:
    """Those of a backend that overlaps, or one slot for a backend that runs a batch at a time."""
    return _Overlapped(backend) if isinstance(backend, OverlappedBackend) else _OneSlot(backend)


class _Overlapped:
    def __init__(self, backend: OverlappedBackend) -> None:
        self.count = backend.slots
        self.buffer, self.start, self.finish = backend.buffer, backend.start, backend.finish

    def drain(self, slot: int, /) -> None:
        try:
            self.finish(slot)
        except N2BError:  # the error that led here is the one to tell
            return


class _OneSlot:
    def __init__(self, backend: Backend) -> None:
        self.count = 1
        self._backend = backend
        self._memory = np.empty(0, backend.info.io)
        self._batch = self._result = self._memory

    def buffer(self, _slot: int, shape: tuple[int, int, int, int], /) -> np.ndarray:
        values = int(np.prod(shape))
        if self._memory.size < values:
            self._memory = np.zeros(values, self._memory.dtype)
        self._batch = self._memory[:values].reshape(shape)
        return self._batch

    def start(self, _slot: int, /) -> None:
        self._result = self._backend.run(self._batch)

    def finish(self, _slot: int, /) -> np.ndarray:
        return self._result

    def drain(self, _slot: int, /) -> None:
        """Nothing runs on."""
