"""Images on their way through a model: their tiles fill batches, and the batches take turns in the slots."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from ..backends import Backend
from .pixels import blend, from_model, swap_into, to_model
from .slots import slots_of
from .tiling import Tile, TilePlan, extract, keep, stitch

Item = TypeVar("Item")

_EMPTY_PLACES = 0.1  # of a batch's places this part may stay empty before more images are waited for
TILES, MODEL, STITCH = WORK_STAGES = ("tiles", "model", "stitch")


@dataclass(eq=False)
class Work:
    """One image to denoise.

    Attributes:
        noisy: (H, W, 1 or 3).
        clean: the result, written; of the same shape and dtype, not overlapping `noisy`.
        strength: 0..1, how much of the model's result to take.
        on_progress: called with the part of the image that is done, up to 1.
        ms: how long each of WORK_STAGES took; of a batch with several images, each one's share.
    """

    noisy: np.ndarray
    clean: np.ndarray
    strength: float = 1.0
    on_progress: Callable[[float], Any] | None = None
    ms: dict[str, float] = field(default_factory=lambda: dict.fromkeys(WORK_STAGES, 0.0))


@dataclass(frozen=True, eq=False)
class _Planned:
    """A tile of an image."""

    work: Work
    plan: TilePlan
    number: int

    @property
    def tile(self) -> Tile:
        return self.plan.tiles[self.number]


class Works:
    """Takes images through one model; not to be shared between threads.

    Args:
        backend: what runs the model. Where it has several slots, tiles are filled into one while the model
            runs over another, and the results of a third are copied back.
        batch: tiles of one size that are run at once.
        is_bgr: whether the channels of images are blue, green, red. They are exchanged while a tile is
            filled and while its result is put into the image, which both copy anyway.
    """

    def __init__(self, backend: Backend, *, batch: int, is_bgr: bool) -> None:
        self._slots = slots_of(backend)
        self._fixed_batch = backend.shape.batch
        self._batch = batch
        self._is_bgr = is_bgr

    def run(self, works: Sequence[tuple[Work, TilePlan]]) -> None:
        """Denoise images; each has the plan of its size.

        Raises:
            OutOfMemory: the device's memory does not suffice for these tiles; any image may be half done.
            EnvironmentFault: the device failed.
        """
        running: deque[tuple[int, list[_Planned]]] = deque()
        try:
            for number, group in enumerate(_groups(works, self._batch)):
                if len(running) == self._slots.count:
                    self._finish(*running.popleft())
                slot = number % self._slots.count
                self._start(slot, group)
                running.append((slot, group))
            while running:
                self._finish(*running.popleft())
        finally:
            for slot, _ in running:  # after an error; what still runs must not write into memory used anew
                self._slots.drain(slot)

    def _start(self, slot: int, group: list[_Planned]) -> None:
        clock = time.perf_counter()
        # A model with a fixed batch gets a full one: its last tiles are then left-overs, which nobody reads.
        tiles = self._slots.buffer(slot, (self._fixed_batch or len(group), *group[0].plan.tile_hw, 3))
        for place, planned in zip(tiles, group, strict=False):
            pixels = extract(planned.work.noisy, planned.tile)
            if self._is_bgr and pixels.shape[2] == 3 and pixels.dtype == place.dtype:
                swap_into(pixels, place)
            else:
                to_model(pixels[:, :, ::-1] if self._is_bgr else pixels, place)
        clock = _note(group, TILES, clock)
        self._slots.start(slot)
        _note(group, MODEL, clock)

    def _finish(self, slot: int, group: list[_Planned]) -> None:
        clock = time.perf_counter()
        results = self._slots.finish(slot)
        clock = _note(group, MODEL, clock)
        for result, planned in zip(results, group, strict=False):
            self._put(keep(result, planned.tile), planned.tile, planned.work)
        _note(group, STITCH, clock)
        for planned in group:
            if planned.work.on_progress is not None:
                planned.work.on_progress((planned.number + 1) / len(planned.plan.tiles))

    def _put(self, kept: np.ndarray, tile: Tile, work: Work) -> None:
        noisy = work.noisy[tile.target.slices]
        clean = from_model(kept, like=noisy)
        swaps = self._is_bgr and clean.shape[2] == 3
        if work.strength < 1:
            stitch(blend(noisy, clean[:, :, ::-1] if swaps else clean, work.strength), tile, work.clean)
        elif swaps:
            swap_into(clean, work.clean[tile.target.slices])
        else:
            stitch(clean, tile, work.clean)


def filling_batches(
    images: Iterable[Item], batch: int, tiles_of: Callable[[Item], int]
) -> Iterator[list[Item]]:
    """As many images at a time as fill batches of tiles, or nearly.

    Args:
        images: in order.
        batch: tiles that are run at once.
        tiles_of: how many tiles an image has.
    """
    chunk: list[Item] = []
    tiles = 0
    for image in images:
        chunk.append(image)
        tiles += tiles_of(image)
        if -tiles % batch <= tiles * _EMPTY_PLACES or len(chunk) == batch:
            yield chunk
            chunk, tiles = [], 0
    if chunk:
        yield chunk


def _groups(works: Sequence[tuple[Work, TilePlan]], size: int) -> Iterator[list[_Planned]]:
    """Up to `size` tiles at a time, of one size, out of one image or several."""
    group: list[_Planned] = []
    for work, plan in works:
        for number in range(len(plan.tiles)):
            if len(group) == size or (group and group[0].plan.tile_hw != plan.tile_hw):
                yield group
                group = []
            group.append(_Planned(work, plan, number))
    if group:
        yield group


def _note(group: list[_Planned], stage: str, since: float) -> float:
    """Charge each tile of a group its share of the time since then; the time now."""
    now = time.perf_counter()
    for planned in group:
        planned.work.ms[stage] += (now - since) * 1e3 / len(group)
    return now
