"""The interface to GPU memory, streams, events and graphs that each CUDA binding implements."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

CUDA_BINDINGS, PYCUDA = "cuda-bindings", "pycuda"

# Flags of streams and events
NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: a stream does not wait for the default stream
DISABLE_TIMING = 2  # CU_EVENT_DISABLE_TIMING: events only order work


@dataclass(frozen=True, eq=False)
class Buffer:
    """Memory on the GPU, and as much page-locked host memory, which the GPU accesses directly."""

    device_address: int
    host: np.ndarray  # uint8, (size,); empty for a buffer on the GPU only
    owned: tuple[Any, ...]  # freed by the implementation


@dataclass(eq=False)
class Stream:
    """A queue of GPU work that runs in order."""

    handle: int  # a CUstream, for TensorRT
    native: Any


@dataclass(eq=False)
class Event:
    """A point in a stream that another stream can wait for."""

    native: Any


class Graphs(Protocol):
    """Recorded work of a stream, launched by one call. Use it within `Cuda.current`."""

    def capture(self, stream: Stream, work: Callable[[], object]) -> Any:
        """Record what `work` enqueues on the stream, without running it; return the graph."""
        ...

    def launch(self, graph: Any, stream: Stream) -> None:
        """Enqueue a graph's work."""
        ...

    def destroy_graph(self, graph: Any) -> None:
        """Free a graph."""
        ...


class Cuda(Protocol):
    """One GPU. Use every method but `current` and `close` within `current`.

    Failures raise DeviceError; too little memory raises MemoryError.
    """

    name: str  # "cuda-bindings", "pycuda"

    @property
    def graphs(self) -> Graphs | None:
        """CUDA graphs; None: the binding has none."""
        ...

    def current(self) -> AbstractContextManager[None]:
        """Make the GPU's primary context current in this thread, for the block."""
        ...

    def allocate(self, size: int, *, host: bool = True) -> Buffer:
        """Allocate a buffer of so many bytes; without `host` on the GPU only."""
        ...

    def free(self, buffer: Buffer) -> None:
        """Free a buffer; its array must not be used any more."""
        ...

    def create_stream(self) -> Stream:
        """Create a stream that does not wait for the default stream."""
        ...

    def destroy_stream(self, stream: Stream) -> None:
        """Free a stream."""
        ...

    def synchronise(self, stream: Stream) -> None:
        """Wait until a stream has finished its work."""
        ...

    def create_event(self) -> Event:
        """Create an event."""
        ...

    def destroy_event(self, event: Event) -> None:
        """Free an event."""
        ...

    def record(self, event: Event, stream: Stream) -> None:
        """Record an event after the work enqueued so far."""
        ...

    def wait(self, stream: Stream, event: Event) -> None:
        """Make a stream wait for an event; return at once."""
        ...

    def copy_in(self, buffer: Buffer, size: int, stream: Stream) -> None:
        """Enqueue a copy of a buffer's first `size` bytes from the host to the GPU."""
        ...

    def copy_out(self, buffer: Buffer, size: int, stream: Stream) -> None:
        """Enqueue a copy of a buffer's first `size` bytes from the GPU to the host."""
        ...

    def close(self) -> None:
        """Release the context, after everything else was freed."""
        ...
