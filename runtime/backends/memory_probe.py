"""How much memory a model needs on a CPU, found out by running it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..system.memory import allocated_bytes, release_free_memory, resident_bytes

if TYPE_CHECKING:
    from .protocol import Backend

TRIAL_PX = 256


def trial_batch(backend: Backend, side_px: int = TRIAL_PX) -> np.ndarray:
    """A batch of zeros that the model takes: of its own tile size, else of about `side_px`."""
    multiple = backend.info.size_multiple_px
    side = -(-side_px // multiple) * multiple
    height, width = backend.shape.tile_hw or (side, side)
    return np.zeros((backend.shape.batch or 1, height, width, 3), backend.info.io)


def measure_bytes_per_px(backend: Backend, *, before_px: int = 0, share_used: float = 1.0) -> float | None:
    """What a run of a small tile adds to the process's memory, for one pixel of the batch.

    That is what becomes resident. Memory that an earlier model has freed and malloc has kept becomes resident
    no more, so it is at least what malloc hands out.

    Args:
        backend: the model.
        before_px: side of a smaller tile that is run first, so that what does not grow with the tile, or was
            free in the process before, is not counted; 0: none.
        share_used: how much of what the backend takes from malloc it certainly writes to.

    Returns:
        Bytes a pixel; None where it cannot be told, since only Linux tells it, or nothing had to be added.
    """
    uncounted = backend.run(trial_batch(backend, before_px)).size // 3 if before_px else 0
    release_free_memory()  # or the run would fill what is there already
    resident, allocated = resident_bytes(), allocated_bytes()
    if resident is None:
        return None
    batch = trial_batch(backend)
    result = backend.run(batch)
    pixels = batch.size // 3 - uncounted
    grown = (resident_bytes() or 0) - resident
    if allocated is not None:
        grown = max(grown, share_used * ((allocated_bytes() or 0) - allocated))
    grown -= batch.nbytes + result.nbytes
    # Less than the tensors at the edges of the graph: nothing was measured.
    return grown / pixels if grown > batch.nbytes and pixels > 0 else None
