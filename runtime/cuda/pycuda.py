"""Use CUDA's driver through pycuda, which is compiled at installation and has no graphs. Kept for machines
that have pycuda and not cuda-bindings.

Objects of pycuda belong to the current context and must be freed in it. Garbage collection may run in any
thread, so everything is freed explicitly.
"""

from __future__ import annotations

import importlib
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..errors import DeviceError, shorten
from ..system.packages import require
from .protocol import DISABLE_TIMING, NON_BLOCKING, PYCUDA, Buffer, Event, Stream


class PyCuda:
    """See Cuda. Raises what `open_cuda` does."""

    name = PYCUDA
    graphs = None

    def __init__(self, device_index: int) -> None:
        self._driver = _load()
        self._call(self._driver.init)
        count = self._call(self._driver.Device.count)
        if device_index >= count:
            raise DeviceError(f"there is no GPU cuda:{device_index}; this machine has {count}")
        # A new context (`make_context`) would not share memory with TensorRT and PyTorch.
        self._context = self._call(self._driver.Device(device_index).retain_primary_context)

    @contextmanager
    def current(self) -> Iterator[None]:
        self._call(self._context.push)
        try:
            yield
        finally:
            self._call(self._driver.Context.pop)

    def allocate(self, size: int, *, host: bool = True) -> Buffer:
        memory = self._call(self._driver.mem_alloc, size)
        if not host:
            return Buffer(int(memory), np.empty(0, np.uint8), (memory,))
        try:
            array = self._call(self._driver.pagelocked_empty, size, np.uint8)
        except BaseException:
            memory.free()
            raise
        return Buffer(int(memory), array, (memory, array.base))

    def free(self, buffer: Buffer) -> None:
        for allocation in buffer.owned:
            self._call(allocation.free)

    def create_stream(self) -> Stream:
        stream = self._call(self._driver.Stream, NON_BLOCKING)
        return Stream(stream.handle, stream)

    def destroy_stream(self, stream: Stream) -> None:
        stream.native = None  # pycuda frees it with its last reference

    def synchronise(self, stream: Stream) -> None:
        self._call(stream.native.synchronize)

    def create_event(self) -> Event:
        return Event(self._call(self._driver.Event, DISABLE_TIMING))

    def destroy_event(self, event: Event) -> None:
        event.native = None

    def record(self, event: Event, stream: Stream) -> None:
        self._call(event.native.record, stream.native)

    def wait(self, stream: Stream, event: Event) -> None:
        self._call(stream.native.wait_for_event, event.native)

    def copy_in(self, buffer: Buffer, size: int, stream: Stream) -> None:
        self._call(self._driver.memcpy_htod_async, buffer.device_address, buffer.host[:size], stream.native)

    def copy_out(self, buffer: Buffer, size: int, stream: Stream) -> None:
        self._call(self._driver.memcpy_dtoh_async, buffer.host[:size], buffer.device_address, stream.native)

    def close(self) -> None:
        # pycuda releases only a current context, and leaves it current in that thread: so do it in a thread
        # that ends with it.
        thread = threading.Thread(target=_release, args=(self._context,))
        thread.start()
        thread.join()

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except self._driver.MemoryError as error:
            raise MemoryError(shorten(error)) from error
        except self._driver.Error as error:
            raise DeviceError(
                f"CUDA failed: {shorten(error)}; is there a GPU with a recent driver?"
            ) from error


def _release(context: Any) -> None:
    context.push()
    context.detach()


def _load() -> Any:
    require("pycuda", extra=PYCUDA)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pycuda's advice on versions, next to the error itself
            return importlib.import_module("pycuda.driver")
    except ImportError as error:  # libcuda, the driver's library, is missing or lacks a function
        raise DeviceError(f"pycuda cannot start: {error}; it needs an NVIDIA GPU and its driver") from error
