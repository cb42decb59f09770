"""A CUDA driver, and how the packages cuda-bindings and pycuda show it. GPU memory is the host's.

The stand-ins have the names and parameters of the packages; `test_cuda.py` holds those of cuda-bindings
against it.
"""

from __future__ import annotations

import ctypes
import enum
import itertools
import threading
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

CONTEXT = 0xC0


class Driver:
    """The driver that both packages call: a context per thread, memory, streams that run when waited for."""

    def __init__(self, devices: int = 1, limit_bytes: int = 1 << 20) -> None:
        self.devices, self.limit_bytes = devices, limit_bytes
        self.retained = 0
        self.memory: dict[int, Any] = {}
        self.streams: dict[int, list[Callable[[], object]]] = {}
        self.marks: dict[int, int | None] = {}  # of events: the stream that they are in
        self.graphs: dict[int, list[Callable[[], object]]] = {}
        self.handles = itertools.count(500)
        self._stacks = threading.local()

    @property
    def stack(self) -> list[int]:
        """The contexts that are current in the thread that asks, the last one on top."""
        if not hasattr(self._stacks, "contexts"):
            self._stacks.contexts = []
        return self._stacks.contexts

    def check(self) -> None:
        assert self.stack and self.retained, "the context is not current"

    def allocate(self, size: int) -> int:
        self.check()
        assert size > 0
        if size + sum(len(block) for block in self.memory.values()) > self.limit_bytes:
            raise MemoryError
        block = ctypes.create_string_buffer(b"\xa5" * size, size)
        self.memory[ctypes.addressof(block)] = block
        return ctypes.addressof(block)

    def free(self, address: int) -> None:
        self.check()
        del self.memory[address]

    def copy(self, to: int, source: int, size: int, stream: int) -> None:
        self.check()
        self.streams[stream].append(lambda: ctypes.memmove(to, source, size))

    def wait(self, stream: int, event: int) -> None:
        self.check()
        other = self.marks[event]
        if other is not None and other != stream:
            self.streams[stream].append(lambda: self.drain(other))

    def drain(self, stream: int) -> None:
        while self.streams[stream]:
            self.streams[stream].pop(0)()

    def give_back(self, table: dict[int, Any], handle: int) -> None:
        self.check()
        del table[handle]

    def new(self, table: dict[int, Any], value: Any) -> int:
        self.check()
        handle = next(self.handles)
        table[handle] = value
        return handle


class Status(enum.Enum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_OUT_OF_MEMORY = 2
    CUDA_ERROR_NO_DEVICE = 100


class Bindings(ModuleType):
    """cuda.bindings.driver: functions that give a status, and what else they have."""

    CUresult = Status
    CUstreamCaptureMode = SimpleNamespace(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL=1)

    def __init__(self, driver: Driver) -> None:
        super().__init__("cuda.bindings.driver")
        self._driver = driver
        self._capturing: dict[int, list[Callable[[], object]]] = {}

    def cuInit(self, _flags):  # noqa: N802
        return (Status.CUDA_SUCCESS if self._driver.devices else Status.CUDA_ERROR_NO_DEVICE,)

    def cuDeviceGetCount(self):  # noqa: N802
        return Status.CUDA_SUCCESS, self._driver.devices

    def cuDeviceGet(self, ordinal):  # noqa: N802
        return Status.CUDA_SUCCESS, ordinal

    def cuDevicePrimaryCtxRetain(self, dev):  # noqa: N802
        self._driver.retained += 1
        return Status.CUDA_SUCCESS, CONTEXT + dev

    def cuDevicePrimaryCtxRelease(self, _dev):  # noqa: N802
        self._driver.retained -= 1
        return (Status.CUDA_SUCCESS,)

    def cuCtxPushCurrent(self, ctx):  # noqa: N802
        self._driver.stack.append(ctx)
        return (Status.CUDA_SUCCESS,)

    def cuCtxPopCurrent(self):  # noqa: N802
        return Status.CUDA_SUCCESS, self._driver.stack.pop()

    def cuMemAlloc(self, bytesize):  # noqa: N802
        try:
            return Status.CUDA_SUCCESS, self._driver.allocate(bytesize)
        except MemoryError:
            return Status.CUDA_ERROR_OUT_OF_MEMORY, None

    def cuMemHostAlloc(self, bytesize, _flags):  # noqa: N802
        return self.cuMemAlloc(bytesize)

    def cuMemFree(self, dptr):  # noqa: N802
        self._driver.free(dptr)
        return (Status.CUDA_SUCCESS,)

    def cuMemFreeHost(self, p):  # noqa: N802
        return self.cuMemFree(p)

    def cuStreamCreate(self, Flags):  # noqa: N802, N803
        assert Flags == 1
        return Status.CUDA_SUCCESS, self._driver.new(self._driver.streams, [])

    def cuStreamDestroy(self, hStream):  # noqa: N802, N803
        self._driver.give_back(self._driver.streams, hStream)
        return (Status.CUDA_SUCCESS,)

    def cuStreamSynchronize(self, hStream):  # noqa: N802, N803
        self._driver.drain(hStream)
        return (Status.CUDA_SUCCESS,)

    def cuStreamWaitEvent(self, hStream, hEvent, _flags):  # noqa: N802, N803
        self._driver.wait(hStream, hEvent)
        return (Status.CUDA_SUCCESS,)

    def cuEventCreate(self, Flags):  # noqa: N802, N803
        assert Flags == 2
        return Status.CUDA_SUCCESS, self._driver.new(self._driver.marks, None)

    def cuEventDestroy(self, hEvent):  # noqa: N802, N803
        self._driver.give_back(self._driver.marks, hEvent)
        return (Status.CUDA_SUCCESS,)

    def cuEventRecord(self, hEvent, hStream):  # noqa: N802, N803
        self._driver.marks[hEvent] = hStream
        return (Status.CUDA_SUCCESS,)

    def cuMemcpyHtoDAsync(self, dstDevice, srcHost, ByteCount, hStream):  # noqa: N802, N803
        self._driver.copy(dstDevice, srcHost, ByteCount, hStream)
        return (Status.CUDA_SUCCESS,)

    def cuMemcpyDtoHAsync(self, dstHost, srcDevice, ByteCount, hStream):  # noqa: N802, N803
        self._driver.copy(dstHost, srcDevice, ByteCount, hStream)
        return (Status.CUDA_SUCCESS,)

    def cuStreamBeginCapture(self, hStream, mode):  # noqa: N802, N803
        assert mode == 1
        self._capturing[hStream] = self._driver.streams[hStream]
        self._driver.streams[hStream] = []
        return (Status.CUDA_SUCCESS,)

    def cuStreamEndCapture(self, hStream):  # noqa: N802, N803
        captured = self._driver.streams[hStream]
        self._driver.streams[hStream] = self._capturing.pop(hStream)
        return Status.CUDA_SUCCESS, self._driver.new(self._driver.graphs, captured)

    def cuGraphInstantiate(self, hGraph, _flags):  # noqa: N802, N803
        return Status.CUDA_SUCCESS, self._driver.new(self._driver.graphs, self._driver.graphs[hGraph])

    def cuGraphDestroy(self, hGraph):  # noqa: N802, N803
        self._driver.give_back(self._driver.graphs, hGraph)
        return (Status.CUDA_SUCCESS,)

    cuGraphExecDestroy = cuGraphDestroy  # noqa: N815

    def cuGraphLaunch(self, hGraphExec, hStream):  # noqa: N802, N803
        self._driver.streams[hStream].extend(self._driver.graphs[hGraphExec])
        return (Status.CUDA_SUCCESS,)


class Error(Exception):
    """pycuda.driver.Error"""


class OutOfGpuMemory(Error):
    """pycuda.driver.MemoryError"""


def pycuda_driver(driver: Driver) -> ModuleType:
    """pycuda.driver: objects that belong to the context that was current when they were made."""

    def guarded(size: int) -> int:
        try:
            return driver.allocate(size)
        except MemoryError:
            raise OutOfGpuMemory("cuMemAlloc failed: out of memory") from None

    class Context:
        is_valid = True

        def push(self) -> None:
            if not self.is_valid:
                raise Error("cuCtxPushCurrent failed: invalid device context")
            driver.stack.append(CONTEXT)

        @staticmethod
        def pop() -> None:
            if not driver.stack:
                raise Error("cannot pop non-current context")
            driver.stack.pop()

        def detach(self) -> None:
            assert driver.stack, "pycuda would leak a context that is not current in this thread"
            self.is_valid = False  # and it stays on the driver's stack of this thread
            driver.retained -= 1

    class Device:
        def __init__(self, index: int) -> None:
            assert index < driver.devices

        @staticmethod
        def count() -> int:
            return driver.devices

        def retain_primary_context(self) -> Context:
            driver.retained += 1
            return Context()

    class Allocation:
        def __init__(self, address: int) -> None:
            self._address = address

        def __int__(self) -> int:
            return self._address

        def free(self) -> None:
            driver.free(self._address)

    class Pagelocked(Allocation):
        def __init__(self, size: int) -> None:
            super().__init__(guarded(size))
            shape = {"shape": (size,), "typestr": "|u1", "data": (self._address, False), "version": 3}
            self.__array_interface__ = shape

    class Owned:
        def __init__(self, table: dict[int, Any], value: Any) -> None:
            self._table, self.handle = table, driver.new(table, value)

        def __del__(self) -> None:
            if driver.stack:  # else pycuda sees to it, where the thread is the one that made it
                driver.give_back(self._table, self.handle)

    class Stream(Owned):
        def __init__(self, flags: int = 0) -> None:
            assert flags == 1
            super().__init__(driver.streams, [])

        def synchronize(self) -> None:
            driver.drain(self.handle)

        def wait_for_event(self, evt: Event) -> None:
            driver.wait(self.handle, evt.handle)

    class Event(Owned):
        def __init__(self, flags: int = 0) -> None:
            assert flags == 2
            super().__init__(driver.marks, None)

        def record(self, stream: Stream) -> Event:
            driver.marks[self.handle] = stream.handle
            return self

    def init(_flags: int = 0) -> None:
        if not driver.devices:
            raise Error("cuInit failed: no CUDA-capable device is detected")

    def pagelocked_empty(shape: int, dtype: Any, order: str = "C", mem_flags: int = 0) -> np.ndarray:
        assert (np.dtype(dtype), order, mem_flags) == (np.dtype(np.uint8), "C", 0)
        return np.asarray(Pagelocked(shape))

    def memcpy_htod_async(dest: int, src: np.ndarray, stream: Stream) -> None:
        driver.copy(dest, src.ctypes.data, src.nbytes, stream.handle)

    def memcpy_dtoh_async(dest: np.ndarray, src: int, stream: Stream) -> None:
        driver.copy(dest.ctypes.data, src, dest.nbytes, stream.handle)

    module = ModuleType("pycuda.driver")
    module.__dict__.update(
        init=init, Device=Device, Context=Context, Stream=Stream, Event=Event, Error=Error,
        MemoryError=OutOfGpuMemory, mem_alloc=lambda size: Allocation(guarded(size)),
        pagelocked_empty=pagelocked_empty, memcpy_htod_async=memcpy_htod_async,
        memcpy_dtoh_async=memcpy_dtoh_async,
    )  # fmt: skip
    return module
