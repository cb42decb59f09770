"""Measure the memory that a model needs on a CPU, by running it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..system.memory import allocated_bytes, release_free_memory, resident_bytes
from .graph_contract import check_result

if TYPE_CHECKING:
    from .protocol import Backend

TRIAL_PX = 256


def trial_batch(backend: Backend, side_px: int = TRIAL_PX) -> np.ndarray:
    """Return a batch of zeros for a model: of its own tile size, else of about `side_px`."""
    multiple = backend.info.size_multiple_px
    side = -(-side_px // multiple) * multiple
    height, width = backend.shape.tile_hw or (side, side)
    return np.zeros((backend.shape.batch or 1, height, width, 3), backend.info.io)


def measure_bytes_per_px(backend: Backend, *, before_px: int = 0, share_used: float = 1.0) -> float | None:
    """Return the memory that a run of a small tile adds to the process, per pixel of the batch.

    That is the growth of resident memory. Memory that an earlier model freed and malloc kept is resident
    already, so the result is at least the growth of allocated memory.

    Args:
        before_px: side of a smaller tile that is run first, to count only what grows with the tile; 0: none.
        share_used: part of the allocated memory that the backend certainly writes to.

    Returns:
        Bytes per pixel; None if unavailable (only Linux reports it) or if nothing was added.

    Raises:
        ModelError: the result has another shape or dtype than the batch.
    """
    uncounted = _run(backend, trial_batch(backend, before_px)).size // 3 if before_px else 0
    release_free_memory()  # or the run would reuse it
    resident, allocated = resident_bytes(), allocated_bytes()
    if resident is None:
        return None
    batch = trial_batch(backend)
    result = _run(backend, batch)
    pixels = batch.size // 3 - uncounted
    grown = (resident_bytes() or 0) - resident
    if allocated is not None:
        grown = max(grown, share_used * ((allocated_bytes() or 0) - allocated))
    grown -= batch.nbytes + result.nbytes
    # Less than the tensors at the edges of the graph: nothing was measured.
    return grown / pixels if grown > batch.nbytes and pixels > 0 else None


def _run(backend: Backend, batch: np.ndarray) -> np.ndarray:
    result = backend.run(batch)
    check_result(result, batch.shape, backend.info.io, backend.model)
    return result
