"""Run the tiles of images through a backend: fill batches, overlap copies and computation, stitch results."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from ..backends import Backend, OverlappedBackend
from ..backends.graph_contract import check_result, check_values
from ..errors import N2BError
from .pixels import blend, from_model, swap_into, to_model
from .tiling import Tile, TilePlan, extract, keep, stitch

Item = TypeVar("Item")
Progress = Callable[[float], object]  # called with the fraction of an image that is done, up to 1

_REPORT_S = 0.1  # between reports of progress, where batches overlap
_MAX_EMPTY_FRACTION = 0.1  # unused places per tile; above it, more images are collected first
TILES, MODEL, STITCH = TASK_STAGES = ("tiles", "model", "stitch")


@dataclass(eq=False)
class ImageTask:
    """An image to denoise."""

    noisy: np.ndarray  # (H, W, 1 or 3)
    clean: np.ndarray  # output array of the same shape and dtype; must not overlap `noisy`
    strength: float = 1.0  # 0..1, fraction of the model's change to apply
    on_progress: Progress | None = None  # called with the fraction of the image that is done, up to 1
    # time spent in each of TASK_STAGES; a batch's time is divided among its tiles
    ms: dict[str, float] = field(default_factory=lambda: dict.fromkeys(TASK_STAGES, 0.0))


@dataclass(frozen=True, eq=False)
class _TileOfTask:
    task: ImageTask
    plan: TilePlan
    index: int

    @property
    def tile(self) -> Tile:
        return self.plan.tiles[self.index]


class TileExecutor:
    """Runs images through one model, tile by tile. Not safe to share between threads.

    Args:
        backend: runs the model. If it has several slots, one is filled while the model runs over another and
            the result of a third is copied back.
        batch: maximum number of tiles in a run; all have the same size.
        is_bgr: True if the images' channels are blue, green, red. They are swapped during the copy into and
            out of a tile.

    Attributes:
        pause: context in which `on_progress` is called; meanwhile others may run this executor.
    """

    def __init__(self, backend: Backend, *, batch: int, is_bgr: bool) -> None:
        self._slots = backend if isinstance(backend, OverlappedBackend) else _SingleSlot(backend)
        self._fixed_batch = backend.shape.batch
        self._io, self._model = backend.info.io, backend.model
        self._batch = batch
        self._is_bgr = is_bgr
        self._refusal: Callable[[], BaseException] | None = None
        self.pause: Callable[[], AbstractContextManager[object]] = nullcontext

    def refuse(self, error: Callable[[], BaseException]) -> None:
        """Raise such an error in place of the next batch, also of images that another thread is running."""
        self._refusal = error

    def release(self) -> None:
        """Free what the last run holds, for a try with smaller tiles."""
        if isinstance(self._slots, _SingleSlot):
            self._slots.release()

    def run(self, tasks: Sequence[tuple[ImageTask, TilePlan]]) -> None:
        """Denoise images, each with the plan for its size.

        Raises:
            OutOfMemory: the device has too little memory for these tiles. Images may be partly written.
            EnvironmentFault: the device failed.
            ModelError: a result is not that of a denoiser: of another size, or not finite.
        """
        in_flight: deque[tuple[int, list[_TileOfTask]]] = deque()
        done: list[_TileOfTask] = []  # and not reported
        reported_s = time.monotonic()
        try:
            for number, tiles in enumerate(_batches(tasks, self._batch)):
                if len(in_flight) == self._slots.slots:
                    done += self._finish(*in_flight.popleft())
                    # While slots are in use, nobody else may run: empty them, but not after every batch.
                    if done and (not in_flight or time.monotonic() - reported_s > _REPORT_S):
                        while in_flight:
                            done += self._finish(*in_flight.popleft())
                        self._report(done)
                        done, reported_s = [], time.monotonic()
                slot = number % self._slots.slots
                self._start(slot, tiles)
                in_flight.append((slot, tiles))
            while in_flight:
                done += self._finish(*in_flight.popleft())
            self._report(done)
        finally:
            for slot, _ in in_flight:  # after an error, before the slots' memory is reused
                with suppress(N2BError):  # the first error is the one to report
                    self._slots.finish(slot)

    def _start(self, slot: int, tiles: list[_TileOfTask]) -> None:
        if self._refusal is not None:
            raise self._refusal()
        clock = time.perf_counter()
        # A model with a fixed batch size gets a full batch; the results of its unused places are ignored.
        places = self._slots.buffer(slot, self._shape_of(tiles))
        for place, tile in zip(places, tiles, strict=False):
            pixels = extract(tile.task.noisy, tile.tile)
            if self._is_bgr and pixels.shape[2] == 3 and pixels.dtype == place.dtype:
                swap_into(pixels, place)
            else:
                to_model(pixels[:, :, ::-1] if self._is_bgr else pixels, place)
        clock = _add_time(tiles, TILES, clock)
        self._slots.start(slot)
        _add_time(tiles, MODEL, clock)

    def _finish(self, slot: int, tiles: list[_TileOfTask]) -> list[_TileOfTask]:
        """Stitch the results of a batch; return its tiles whose progress is asked for."""
        clock = time.perf_counter()
        results = self._slots.finish(slot)
        clock = _add_time(tiles, MODEL, clock)
        check_result(results, self._shape_of(tiles), self._io, self._model)
        for result, tile in zip(results, tiles, strict=False):
            kept = keep(result, tile.tile)
            check_values(kept, self._model)
            self._stitch(kept, tile.tile, tile.task)
        _add_time(tiles, STITCH, clock)
        return [tile for tile in tiles if tile.task.on_progress is not None]

    def _report(self, tiles: list[_TileOfTask]) -> None:
        if tiles:
            with self.pause():
                for tile in tiles:
                    if tile.task.on_progress is not None:
                        tile.task.on_progress((tile.index + 1) / len(tile.plan.tiles))

    def _shape_of(self, tiles: list[_TileOfTask]) -> tuple[int, ...]:
        return self._fixed_batch or len(tiles), *tiles[0].plan.tile_hw, 3

    def _stitch(self, kept: np.ndarray, tile: Tile, task: ImageTask) -> None:
        noisy = task.noisy[tile.target.slices]
        clean = from_model(kept, like=noisy)
        swaps = self._is_bgr and clean.shape[2] == 3
        if task.strength < 1:
            stitch(blend(noisy, clean[:, :, ::-1] if swaps else clean, task.strength), tile, task.clean)
        elif swaps:
            swap_into(clean, task.clean[tile.target.slices])
        else:
            stitch(clean, tile, task.clean)


def fill_batches(images: Iterable[Item], batch: int, tiles_of: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Yield lists of consecutive images whose tiles fill batches, or nearly."""
    chunk: list[Item] = []
    tiles = 0
    for image in images:
        chunk.append(image)
        tiles += tiles_of(image)
        if -tiles % batch <= tiles * _MAX_EMPTY_FRACTION or len(chunk) == batch:
            yield chunk
            chunk, tiles = [], 0
    if chunk:
        yield chunk


def _batches(tasks: Sequence[tuple[ImageTask, TilePlan]], size: int) -> Iterator[list[_TileOfTask]]:
    """Yield up to `size` tiles at a time, equal in size, from one image or several."""
    batch: list[_TileOfTask] = []
    for task, plan in tasks:
        for index in range(len(plan.tiles)):
            if len(batch) == size or (batch and batch[0].plan.tile_hw != plan.tile_hw):
                yield batch
                batch = []
            batch.append(_TileOfTask(task, plan, index))
    if batch:
        yield batch


def _add_time(tiles: list[_TileOfTask], stage: str, since: float) -> float:
    """Divide the time since then among the tiles of a batch; return the time now."""
    now = time.perf_counter()
    for tile in tiles:
        tile.task.ms[stage] += (now - since) * 1e3 / len(tiles)
    return now


class _SingleSlot:
    """A backend that runs one batch at a time, as an OverlappedBackend of one slot."""

    slots = 1

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.release()

    def release(self) -> None:
        self._memory = np.empty(0, self._backend.info.io)
        self._batch = self._result = self._memory

    def buffer(self, _slot: int, shape: tuple[int, ...], /) -> np.ndarray:
        values = int(np.prod(shape))
        if self._memory.size < values:
            self._memory = np.zeros(values, self._memory.dtype)
        self._batch = self._memory[:values].reshape(shape)
        return self._batch

    def start(self, _slot: int, /) -> None:
        self._result = self._backend.run(self._batch)

    def finish(self, _slot: int, /) -> np.ndarray:
        return self._result
