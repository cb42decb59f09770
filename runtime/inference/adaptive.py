"""Plan the tiles of images, once per size, and halve them when memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ..backends import Backend
from ..errors import OutOfMemory
from .executor import ImageTask, TileExecutor
from .tile_size import halved_tile
from .tiling import TilePlan, choose_tile_hw, plan_tiles

_logger = logging.getLogger(__name__)

_REMEMBERED_SIZES = 16  # image sizes whose plans are kept


class AdaptiveTiles:
    """The tiles that a model runs over. Not safe to share between threads.

    Args:
        tile_hw: height and width of a tile in px, overlap included; (0, 0): whole images.
        is_shaped: take tiles of as many pixels in the shape that suits each image.
    """

    def __init__(
        self, backend: Backend, tile_hw: tuple[int, int], halo_px: int, *, is_shaped: bool = False
    ) -> None:
        self.tile_hw = tile_hw
        self._halo_px, self._multiple_px = halo_px, backend.info.size_multiple_px
        self._is_fixed = backend.shape.tile_hw is not None
        self._is_shaped = is_shaped and not self._is_fixed
        self.plan = lru_cache(_REMEMBERED_SIZES)(self._make_plan)

    def count(self, task: ImageTask) -> int:
        """Return the number of tiles of an image."""
        return len(self.plan(*task.noisy.shape[:2]).tiles)

    def run(self, executor: TileExecutor, tasks: Sequence[ImageTask]) -> None:
        """Denoise images; if memory runs out, with smaller tiles from then on.

        Raises:
            OutOfMemory: there are no smaller tiles.
            EnvironmentFault: the device failed.
        """
        for task in tasks:
            if task.strength == 0:
                task.clean[...] = task.noisy
        tasks = [task for task in tasks if task.strength > 0]
        while tasks:
            planned = [(task, self.plan(*task.noisy.shape[:2])) for task in tasks]
            try:
                executor.run(planned)
                break
            except (OutOfMemory, MemoryError):
                executor.release()
                if not self._halve(max((plan.tile_hw for _, plan in planned), key=np.prod)):
                    raise

    def _halve(self, tile_hw: tuple[int, int]) -> bool:
        """Take smaller tiles from now on; return False if there are none."""
        halved = halved_tile(tile_hw, halo_px=self._halo_px, multiple_px=self._multiple_px)
        if self._is_fixed or halved is None:
            return False
        self.tile_hw = halved
        self.plan.cache_clear()
        _logger.warning(
            f"out of memory over tiles of {tile_hw[0]}×{tile_hw[1]} px; "
            f"going on with {halved[0]}×{halved[1]} px"
        )
        return True

    def _make_plan(self, height: int, width: int) -> TilePlan:
        shaped = None
        if self._is_shaped:
            shaped = choose_tile_hw(
                height,
                width,
                max_px=self.tile_hw[0] * self.tile_hw[1],
                halo_px=self._halo_px,
                multiple_px=self._multiple_px,
            )
        return plan_tiles(
            height,
            width,
            tile_px=shaped or self.tile_hw,
            halo_px=self._halo_px,
            multiple_px=self._multiple_px,
            fixed=self._is_fixed,
        )
