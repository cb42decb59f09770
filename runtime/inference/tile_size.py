"""Choose the sizes of tiles and batches by the request, the model and the available memory."""

from __future__ import annotations

import math
import numbers
from typing import TypeGuard

import numpy as np

from ..backends import Backend
from ..errors import UserError
from ..system.memory import available_bytes
from .tiling import WHOLE_IMAGE, choose_tile_px, smallest_tile_px

AUTO = "auto"
HEADROOM = 1.1  # a tile of another size than the trial run's may need a little more per pixel
DEFAULT_MEMORY_MB = 2000  # maximum; larger tiles reduce the cost of the overlap only a little more


def check_sizes(tile: object, halo_px: object, batch: object, max_memory: object) -> None:
    """Raise UserError for sizes that no model can use."""
    if tile != AUTO and not _is_whole(tile, least=0):
        raise UserError(
            f"a tile of {tile!r} is not possible; give its side in px, 0 for the whole image, or auto"
        )
    if halo_px is not None and not _is_whole(halo_px, least=0):
        raise UserError(f"an overlap of {halo_px!r} px is not possible; give 0 or more")
    if batch is not None and not _is_whole(batch, least=1):
        raise UserError(f"a batch of {batch!r} tiles is not possible; give 1 or more")
    if max_memory is not None and not (is_number(max_memory) and max_memory > 0):
        raise UserError(f"{max_memory!r} MB of memory is not possible; give a positive number")


def check_strength(strength: object) -> None:
    """Raise UserError unless it is a number from 0 to 1."""
    if not is_number(strength) or not 0 <= strength <= 1:
        raise UserError(f"a strength of {strength!r} is out of range: 0 keeps the image, 1 denoises fully")


def is_number(value: object) -> TypeGuard[float]:
    """Return True for a finite real number, numpy's too, that is no bool."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: object, *, least: int) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) >= least


def batch_size(backend: Backend, asked: int | None) -> int:
    """Return the number of tiles in a run.

    Raises:
        UserError: the model does not take the requested number.
    """
    shape = backend.shape
    if shape.batch is not None:
        if asked not in (None, shape.batch):
            raise UserError(
                f"{backend.model} takes {shape.batch} tiles at once, not {asked}; "
                "n2b-export --dynamic makes a model that takes any number"
            )
        return shape.batch
    if asked is not None and shape.largest_batch is not None and asked > shape.largest_batch:
        raise UserError(f"{backend.model} takes {shape.largest_batch} tiles at once at most, not {asked}")
    return asked or 1


def tile_size(
    backend: Backend,
    asked: int | str,
    *,
    halo_px: int,
    batch: int,
    max_memory: float | None,
    loaded_bytes: int,
) -> tuple[int, int]:
    """Return the (height, width) of the tiles in px, (0, 0) for whole images.

    Args:
        asked: a side in px, 0 for the whole image, or "auto".
        max_memory: memory limit in MB (10⁶ bytes); None: `default_memory_mb`.
        loaded_bytes: the part of it that the loaded model already uses.

    Raises:
        UserError: the model does not take such tiles, they are all overlap, or they exceed the memory limit.
    """
    multiple = backend.info.size_multiple_px
    budget = (default_memory_mb() if max_memory is None else max_memory) * 1e6 - loaded_bytes
    fixed = backend.shape.tile_hw
    if fixed is None and asked == AUTO:
        side = choose_tile_px(budget, batch * _bytes_per_px(backend), halo_px=halo_px, multiple_px=multiple)
        return side, side
    if fixed is None and asked == WHOLE_IMAGE:
        if max_memory is not None:
            raise UserError(
                "--tile 0 uses as much memory as the image needs; omit --max-memory or use --tile auto"
            )
        return WHOLE_IMAGE, WHOLE_IMAGE
    size = fixed or (int(asked), int(asked))
    if asked not in (AUTO, *(size if size[0] == size[1] else ())):
        raise UserError(
            f"{backend.model} takes tiles of {size[0]}×{size[1]} px only, not {asked}; "
            "n2b-export --dynamic makes a model that takes any size"
        )
    _check_tile(min(size), halo_px, multiple)
    if max_memory is not None:
        needed = batch * size[0] * size[1] * _bytes_per_px(backend)
        if needed > budget:
            raise UserError(
                f"tiles of {size[0]}×{size[1]} px need {math.ceil((needed + loaded_bytes) / 1e6)} MB; "
                "raise --max-memory, or use smaller tiles or a smaller --batch"
            )
    return size


def halved_tile(tile_hw: tuple[int, int], *, halo_px: int, multiple_px: int) -> tuple[int, int] | None:
    """Return half a tile's sides, as multiples of the network's stride; None if it would be all overlap."""
    height, width = (side // 2 // multiple_px * multiple_px for side in tile_hw)
    smallest = smallest_tile_px(halo_px, multiple_px)
    largest = max(height, width)
    return None if largest < smallest else (max(height, smallest), max(width, smallest))


def _check_tile(side: int, halo_px: int, multiple: int) -> None:
    if side % multiple:
        near = max(smallest_tile_px(halo_px, multiple), round(side / multiple) * multiple)
        raise UserError(
            f"tiles of {side} px do not fit this network; use a multiple of {multiple}, such as {near}"
        )
    if side < smallest_tile_px(halo_px, multiple):
        raise UserError(
            f"tiles of {side} px are all overlap at {halo_px} px a side; use "
            f"{smallest_tile_px(halo_px, multiple)} px or more, or an overlap of {(side - multiple) // 2} px"
        )


def _bytes_per_px(backend: Backend) -> float:
    """Return the bytes per pixel of a tile: the model's working set, the tile and its result."""
    return HEADROOM * backend.measure_bytes_per_px() + 2 * 3 * np.dtype(backend.info.io).itemsize


def default_memory_mb() -> float:
    """Return the default memory limit in MB: half of the free memory, at most DEFAULT_MEMORY_MB."""
    available = available_bytes()
    return DEFAULT_MEMORY_MB if available is None else min(DEFAULT_MEMORY_MB, available / 2 / 1e6)
