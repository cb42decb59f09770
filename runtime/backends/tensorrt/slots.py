"""Overlap copies and computation of the batches in flight on a GPU.

A slot has a stream, an execution context, memory for a batch and its result on host and GPU, and a CUDA graph
where the binding has graphs. So a slot's addresses are set once per shape, and its graph, which belongs to
the context that it was captured from, stays valid. The large parts are shared: the weights belong to the
engine, and all contexts compute in one block of memory (`Scratch`), one at a time:
a slot's engine starts after the `computed` event of the previous slot. Its copies do not wait, so that one
batch is copied while another is computed:

    stream 0:  in 0 | engine 0 | out 0    |
    stream 1:         in 1     | engine 1 | out 1 |

One stream for the copies and one for the engine would overlap less: a copy out waits for its engine, and the
next batch's copy in would queue behind it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...cuda import Buffer, Cuda, Event, Graphs
from ...errors import DeviceError, ModelError
from ..graph_contract import DENOISED, IMAGE


class Scratch:
    """The scratch memory of an engine's contexts, used by one at a time.

    Raises:
        MemoryError: the GPU's memory is too small.
    """

    def __init__(self, cuda: Cuda, engine: Any) -> None:
        self._cuda = cuda
        # TensorRT 10.0 lacks it: each context then has its own memory.
        self.size = int(engine.device_memory_size_v2) if hasattr(engine, "device_memory_size_v2") else 0
        self._buffer = cuda.allocate(self.size, host=False) if self.size else None

    def lend_to(self, context: Any) -> None:
        """Let a context use this memory."""
        if self._buffer is not None:
            context.set_device_memory(self._buffer.device_address, self.size)

    def free(self) -> None:
        """Free the memory, after the contexts."""
        if self._buffer is not None:
            self._cuda.free(self._buffer)
            self._buffer = None


class Slot:
    """One batch in flight: `reserve`, `start`, `finish`, each with the GPU's context current.

    Args:
        context: execution context of this slot only.
        graphs: captures the engine's work after a first run of the slot's shape; None: no graphs.
    """

    def __init__(self, cuda: Cuda, context: Any, dtype: str, *, graphs: Graphs | None) -> None:
        self._cuda, self._dtype = cuda, np.dtype(dtype)
        self._context: Any = context
        self._graphs = graphs
        self._stream = cuda.create_stream()
        self.computed: Event = cuda.create_event()
        self._memory: tuple[Buffer, Buffer] | None = None  # batch, result
        self.shape: tuple[int, ...] = ()  # of the batch; (): none is reserved
        self._graph: Any = None
        self._has_run = False  # for this shape
        self.is_in_flight = False

    def reserve(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return the batch's host memory, to be filled.

        Raises:
            MemoryError: a smaller shape may fit.
            ModelError: the engine does not take this shape.
        """
        if shape != self.shape:
            self._forget_shape()
            size = math.prod(shape) * self._dtype.itemsize
            if self._memory is None or len(self._memory[0].host) < size:
                self._free_memory()
                self._memory = self._allocate(size)
            self._bind(shape)
            self.shape = shape
        return self._host(0)

    def start(self, after: Event | None) -> bool:
        """Enqueue the batch's copies and, `after` an event, the engine; return False if it cannot run."""
        assert self._memory is not None
        source, result = self._memory
        self._cuda.copy_in(source, self._size, self._stream)
        if after is not None:
            self._cuda.wait(self._stream, after)
        if not self._compute():
            self._cuda.synchronise(self._stream)  # nothing is in flight any more
            return False
        self._cuda.record(self.computed, self._stream)
        self._cuda.copy_out(result, self._size, self._stream)
        self.is_in_flight = True
        return True

    def finish(self) -> np.ndarray:
        """Wait for the result, in the slot's host memory."""
        self.is_in_flight = False
        self._cuda.synchronise(self._stream)
        return self._host(1)

    def close(self) -> None:
        """Free everything; nothing may be in flight."""
        self._forget_shape()
        self._context = None
        self._free_memory()
        self._cuda.destroy_event(self.computed)
        self._cuda.destroy_stream(self._stream)

    @property
    def _size(self) -> int:
        return math.prod(self.shape) * self._dtype.itemsize

    def _host(self, index: int) -> np.ndarray:
        assert self._memory is not None
        return self._memory[index].host[: self._size].view(self._dtype).reshape(self.shape)

    def _compute(self) -> bool:
        if self._graph is None and self._graphs and self._has_run:
            self._capture(self._graphs)
        if self._graphs and self._graph is not None:
            self._graphs.launch(self._graph, self._stream)
            return True
        self._has_run = bool(self._context.execute_async_v3(self._stream.handle))
        return self._has_run

    def _capture(self, graphs: Graphs) -> None:
        """Capture a graph of the engine's work, after a plain run that did TensorRT's one-time set-up."""
        succeeded = False

        def work() -> None:
            nonlocal succeeded
            succeeded = self._context.execute_async_v3(self._stream.handle)

        try:
            graph = graphs.capture(self._stream, work)
        except DeviceError:  # this engine cannot be captured; it runs without a graph
            self._graphs = None
            return
        if succeeded:
            self._graph = graph
        else:
            graphs.destroy_graph(graph)
            self._graphs = None

    def _bind(self, shape: tuple[int, ...]) -> None:
        assert self._memory is not None
        if not self._context.set_input_shape(IMAGE, shape):
            raise ModelError(f"this engine does not take a batch of {'×'.join(map(str, shape))}")
        result_shape = tuple(self._context.get_tensor_shape(DENOISED))
        if result_shape != shape:  # it would write past its memory, or leave a part as it was
            raise ModelError(
                f"this engine returns {'×'.join(map(str, result_shape))} for a batch of "
                f"{'×'.join(map(str, shape))}, and a denoiser keeps the size; build it again"
            )
        for name, buffer in zip((IMAGE, DENOISED), self._memory, strict=True):
            self._context.set_tensor_address(name, buffer.device_address)

    def _allocate(self, size: int) -> tuple[Buffer, Buffer]:
        source = self._cuda.allocate(size)
        try:
            return source, self._cuda.allocate(size)
        except BaseException:
            self._cuda.free(source)
            raise

    def _free_memory(self) -> None:
        for buffer in self._memory or ():
            self._cuda.free(buffer)
        self._memory = None

    def _forget_shape(self) -> None:
        if self._graphs and self._graph is not None:
            self._graphs.destroy_graph(self._graph)
        self._graph, self._has_run, self.shape = None, False, ()
