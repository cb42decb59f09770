"""GPU memory, page-locked host memory, streams, events and graphs: one interface, two implementations.

`cuda_bindings.py` needs no compiler and has graphs; `pycuda.py` is for where pycuda is what there is. Both
work in the GPU's primary context, which PyTorch, OpenCV and TensorRT use too, and make it current only while
it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..errors import UserError
from ..system.packages import is_installed

AUTO, CUDA_BINDINGS, PYCUDA = "auto", "cuda-bindings", "pycuda"
CUDA_APIS = (AUTO, PYCUDA, CUDA_BINDINGS)

# What a stream, event and graph are made with, alike in both
NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: a stream does not wait for what others put on the default stream
DISABLE_TIMING = 2  # CU_EVENT_DISABLE_TIMING: an event orders work, nobody asks it for a time


@dataclass(frozen=True, eq=False)
class Buffer:
    """Bytes on the GPU, and as many in page-locked host memory, which the GPU reads and writes directly."""

    device_address: int
    host: np.ndarray  # uint8, (size,); empty where it was made without
    owned: tuple[Any, ...]  # what the implementation gives back


@dataclass(eq=False)
class Stream:
    """Work that the GPU does in order."""

    handle: int  # a CUstream, as TensorRT takes it
    native: Any


@dataclass(eq=False)
class Event:
    """A mark in a stream, which another stream can wait for."""

    native: Any


class Graphs(Protocol):
    """Work of a stream, kept to be done again with a single call. Called inside `Cuda.current`."""

    def capture(self, stream: Stream, work: Callable[[], object]) -> Any:
        """A graph of what `work` puts on the stream, which is not done now."""
        ...

    def launch(self, graph: Any, stream: Stream) -> None:
        """Do a graph's work, in the order of the stream."""
        ...

    def destroy_graph(self, graph: Any) -> None:
        """Give a graph back."""
        ...


class Cuda(Protocol):
    """One GPU. Every method but `current` and `close` is called inside `current`.

    What fails raises DeviceError, but for memory that does not suffice: MemoryError.
    """

    name: str  # "cuda-bindings", "pycuda"

    @property
    def graphs(self) -> Graphs | None:
        """Its graphs; None: the package has none."""
        ...

    def current(self) -> AbstractContextManager[None]:
        """Makes the GPU's primary context current in this thread, and after it what was current before."""
        ...

    def allocate(self, size: int, *, host: bool = True) -> Buffer:
        """A buffer of so many bytes; without `host` on the GPU only."""
        ...

    def free(self, buffer: Buffer) -> None:
        """Give a buffer back; its array must not be touched any more."""
        ...

    def create_stream(self) -> Stream:
        """A stream that is not held up by other streams."""
        ...

    def destroy_stream(self, stream: Stream) -> None:
        """Give a stream back."""
        ...

    def synchronise(self, stream: Stream) -> None:
        """Wait until a stream has done everything."""
        ...

    def create_event(self) -> Event:
        """An event, which is not in a stream yet."""
        ...

    def destroy_event(self, event: Event) -> None:
        """Give an event back."""
        ...

    def record(self, event: Event, stream: Stream) -> None:
        """Put the mark behind what the stream has to do by now."""
        ...

    def wait(self, stream: Stream, event: Event) -> None:
        """Let a stream go on only after the mark; returns at once."""
        ...

    def copy_in(self, buffer: Buffer, size: int, stream: Stream) -> None:
        """Copy a buffer's first `size` bytes from the host to the GPU, in the order of the stream."""
        ...

    def copy_out(self, buffer: Buffer, size: int, stream: Stream) -> None:
        """Copy a buffer's first `size` bytes from the GPU to the host, in the order of the stream."""
        ...

    def close(self) -> None:
        """Release the context; everything else has been given back before."""
        ...


def open_cuda(api: str = AUTO, device_index: int = 0) -> Cuda:
    """A GPU, through one of the two packages.

    Args:
        api: one of CUDA_APIS; auto: cuda-bindings where it is installed, since it has graphs, else pycuda.
        device_index: which GPU.

    Raises:
        UserError: there is no such api.
        MissingPackageError: its package is not installed or cannot load.
        DeviceError: there is no such GPU, or no driver.
    """
    check_api(api)
    if api == AUTO:
        api = PYCUDA if is_installed("pycuda") and not is_installed("cuda.bindings") else CUDA_BINDINGS
    if api == CUDA_BINDINGS:
        from .cuda_bindings import CudaBindings

        return CudaBindings(device_index)
    from .pycuda import PyCuda

    return PyCuda(device_index)


def check_api(api: str) -> None:
    """Raise UserError unless it is one of CUDA_APIS."""
    if api not in CUDA_APIS:
        raise UserError(f"there is no CUDA api '{api}'; there are {', '.join(CUDA_APIS)}")
