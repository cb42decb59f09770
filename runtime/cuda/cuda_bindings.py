"""Use CUDA's driver through cuda-bindings, NVIDIA's package, which needs no compiler.

It calls the driver only, not the CUDA runtime, so that a driver older than the package works too.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..errors import DeviceError
from ..system.packages import require
from .protocol import CUDA_BINDINGS, DISABLE_TIMING, NON_BLOCKING, Buffer, Event, Graphs, Stream


class CudaBindings:
    """See Cuda. Raises what `open_cuda` does."""

    name = CUDA_BINDINGS

    def __init__(self, device_index: int) -> None:
        self._api = require("cuda.bindings.driver", package=CUDA_BINDINGS)
        self._call("cuInit", 0)
        count = self._call("cuDeviceGetCount")
        if device_index >= count:
            raise DeviceError(f"there is no GPU cuda:{device_index}; this machine has {count}")
        self._device = self._call("cuDeviceGet", device_index)
        self._context = self._call("cuDevicePrimaryCtxRetain", self._device)

    @property
    def graphs(self) -> Graphs:
        return self

    @contextmanager
    def current(self) -> Iterator[None]:
        self._call("cuCtxPushCurrent", self._context)
        try:
            yield
        finally:
            self._call("cuCtxPopCurrent")

    def allocate(self, size: int, *, host: bool = True) -> Buffer:
        device_address = int(self._call("cuMemAlloc", size))
        if not host:
            return Buffer(device_address, np.empty(0, np.uint8), (device_address, None))
        try:
            host_address = int(self._call("cuMemHostAlloc", size, 0))
        except BaseException:
            self._call("cuMemFree", device_address)
            raise
        array = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(host_address))
        return Buffer(device_address, array, (device_address, host_address))

    def free(self, buffer: Buffer) -> None:
        device_address, host_address = buffer.owned
        self._call("cuMemFree", device_address)
        if host_address is not None:
            self._call("cuMemFreeHost", host_address)

    def create_stream(self) -> Stream:
        stream = self._call("cuStreamCreate", NON_BLOCKING)
        return Stream(int(stream), stream)

    def destroy_stream(self, stream: Stream) -> None:
        self._call("cuStreamDestroy", stream.native)

    def synchronise(self, stream: Stream) -> None:
        self._call("cuStreamSynchronize", stream.native)

    def create_event(self) -> Event:
        return Event(self._call("cuEventCreate", DISABLE_TIMING))

    def destroy_event(self, event: Event) -> None:
        self._call("cuEventDestroy", event.native)

    def record(self, event: Event, stream: Stream) -> None:
        self._call("cuEventRecord", event.native, stream.native)

    def wait(self, stream: Stream, event: Event) -> None:
        self._call("cuStreamWaitEvent", stream.native, event.native, 0)

    def copy_in(self, buffer: Buffer, size: int, stream: Stream) -> None:
        device_address, host_address = buffer.owned
        self._call("cuMemcpyHtoDAsync", device_address, host_address, size, stream.native)

    def copy_out(self, buffer: Buffer, size: int, stream: Stream) -> None:
        device_address, host_address = buffer.owned
        self._call("cuMemcpyDtoHAsync", host_address, device_address, size, stream.native)

    def capture(self, stream: Stream, work: Callable[[], object]) -> Any:
        # Of this thread only: calls of other threads, such as allocations, would invalidate the capture.
        mode = self._api.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._call("cuStreamBeginCapture", stream.native, mode)
        try:
            work()
        finally:  # or the stream would be unusable
            captured = self._call("cuStreamEndCapture", stream.native)
        try:
            return self._call("cuGraphInstantiate", captured, 0)
        finally:
            self._call("cuGraphDestroy", captured)

    def launch(self, graph: Any, stream: Stream) -> None:
        self._call("cuGraphLaunch", graph, stream.native)

    def destroy_graph(self, graph: Any) -> None:
        self._call("cuGraphExecDestroy", graph)

    def close(self) -> None:
        self._call("cuDevicePrimaryCtxRelease", self._device)

    def _call(self, function: str, *arguments: Any) -> Any:
        try:
            status, *results = getattr(self._api, function)(*arguments)
        except RuntimeError as error:  # the driver, or one of its functions, is missing
            reason = str(error).rstrip(".")
            raise DeviceError(
                f"CUDA cannot start: {reason}; it needs an NVIDIA GPU and its driver"
            ) from error
        if status == self._api.CUresult.CUDA_ERROR_OUT_OF_MEMORY:
            raise MemoryError(f"{function} gave {status.name}")
        if status != self._api.CUresult.CUDA_SUCCESS:
            raise DeviceError(
                f"CUDA failed: {function} gave {status.name}; is there a GPU with a recent driver?"
            )
        return results[0] if results else None
