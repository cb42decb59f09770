"""A GPU in numpy, whose streams do nothing until they are waited for, and then take turns step by step."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from n2b.runtime.cuda import Buffer, Event, Stream

UNTOUCHED = 0xA5  # what fresh memory holds


class FakeCuda:
    """See n2b.runtime.cuda.Cuda. `calls` holds the names of the methods that were called, in order."""

    def __init__(self, *, has_graphs: bool = True, limit_bytes: int = 1 << 30) -> None:
        self.name, self.has_graphs, self.limit_bytes = "cuda-bindings", has_graphs, limit_bytes
        self.memory: dict[int, np.ndarray] = {}  # on the GPU, by address
        self.pinned: dict[int, np.ndarray] = {}
        self.streams: dict[int, list[Callable[[], bool]]] = {}  # steps; one that gives False has to wait
        self.events: set[Event] = set()
        self.captured: list[Any] = []
        self.calls: list[str] = []
        self.is_closed = False
        self._capturing: tuple[int, list[Callable[[], bool]]] | None = None
        self._addresses = itertools.count(0x1000, 0x1000_0000)
        self._handles = itertools.count(70)
        self._current = threading.local()

    @contextmanager
    def current(self) -> Iterator[None]:
        self._current.depth = getattr(self._current, "depth", 0) + 1
        try:
            yield
        finally:
            self._current.depth -= 1

    def allocate(self, size: int, *, host: bool = True) -> Buffer:
        self._note("allocate")
        if size + sum(block.nbytes for block in self.memory.values()) > self.limit_bytes:
            raise MemoryError("cuMemAlloc gave CUDA_ERROR_OUT_OF_MEMORY")
        address = next(self._addresses)
        self.memory[address] = np.full(size, UNTOUCHED, np.uint8)
        array = np.full(size if host else 0, UNTOUCHED, np.uint8)
        self.pinned[address] = array
        return Buffer(address, array, (address,))

    def free(self, buffer: Buffer) -> None:
        self._note("free")
        assert not any(self.streams.values()), "memory is freed while work is under way"
        del self.memory[buffer.device_address], self.pinned[buffer.device_address]

    def create_stream(self) -> Stream:
        self._note("create_stream")
        handle = next(self._handles)
        self.streams[handle] = []
        return Stream(handle, handle)

    def destroy_stream(self, stream: Stream) -> None:
        self._note("destroy_stream")
        assert not self.streams.pop(stream.handle)

    def synchronise(self, stream: Stream) -> None:
        self._note("synchronise")
        while self.streams[stream.handle]:
            moved = [self._step(steps) for steps in reversed(list(self.streams.values()))]
            assert any(moved), "every stream waits for another"

    def create_event(self) -> Event:
        self._note("create_event")
        event = Event(0)  # how often its mark was passed
        self.events.add(event)
        return event

    def destroy_event(self, event: Event) -> None:
        self._note("destroy_event")
        self.events.remove(event)

    def record(self, event: Event, stream: Stream) -> None:
        self._note("record")
        event.handed = getattr(event, "handed", 0) + 1  # type: ignore[attr-defined]

        def step() -> bool:
            event.native += 1
            return True

        self.streams[stream.handle].append(step)

    def wait(self, stream: Stream, event: Event) -> None:
        self._note("wait")
        marks = getattr(event, "handed", 0)
        self.streams[stream.handle].append(lambda: event.native >= marks)

    def copy_in(self, buffer: Buffer, size: int, stream: Stream) -> None:
        self._note("copy_in")
        self._copy(self.memory[buffer.device_address], buffer.host, size, stream)

    def copy_out(self, buffer: Buffer, size: int, stream: Stream) -> None:
        self._note("copy_out")
        self._copy(buffer.host, self.memory[buffer.device_address], size, stream)

    @property
    def graphs(self) -> FakeCuda | None:
        return self if self.has_graphs else None

    def capture(self, stream: Stream, work: Callable[[], object]) -> Any:
        self._note("capture")
        self._capturing = stream.handle, []
        work()
        (_, steps), self._capturing = self._capturing, None
        self.captured.append(steps)
        return steps

    def launch(self, graph: Any, stream: Stream) -> None:
        self._note("launch")
        assert graph in self.captured
        self.streams[stream.handle].extend(graph)

    def destroy_graph(self, graph: Any) -> None:
        self._note("destroy_graph")
        self.captured = [other for other in self.captured if other is not graph]

    def close(self) -> None:
        assert not self.is_closed
        assert not (self.memory or self.streams or self.events or self.captured), (
            "something was not given back"
        )
        self.is_closed = True

    def enqueue(self, handle: int, steps: list[Callable[[], bool]]) -> None:
        """Put steps of a kernel on a stream, or in the graph that is captured of it."""
        if self._capturing is not None:
            assert self._capturing[0] == handle
            self._capturing[1].extend(steps)
        else:
            self.streams[handle].extend(steps)

    def _copy(self, to: np.ndarray, source: np.ndarray, size: int, stream: Stream) -> None:
        assert size <= min(to.nbytes, source.nbytes)

        def step() -> bool:
            to[:size] = source[:size]
            return True

        self.streams[stream.handle].append(step)

    def _step(self, steps: list[Callable[[], bool]]) -> bool:
        if steps and steps[0]():
            del steps[0]
            return True
        return False

    def _note(self, call: str) -> None:
        assert getattr(self._current, "depth", 0), f"{call} where the GPU's context is not current"
        self.calls.append(call)
