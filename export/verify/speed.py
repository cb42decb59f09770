"""Measure the speed of ONNX files on this machine's CPU."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ...calibration.session import open_session, run_session
from ...runtime.system.timing import time_interleaved
from ..onnx.file import read_onnx

_OPEN_PX = 256  # side of the input of a dynamic file
_ROUNDS = 3


def ms_per_megapixel(paths: Sequence[Path]) -> list[float]:
    """Return milliseconds per megapixel in ONNX Runtime on all cores, the median of three runs.

    The files take turns, so that other load on the machine affects all of them alike.

    Raises:
        ModelError: ONNX Runtime cannot run one.
    """
    batches = [_batch_for(path) for path in paths]
    sessions = [open_session(path, path.name) for path in paths]
    runs = [partial(run_session, session, batch) for session, batch in zip(sessions, batches, strict=True)]
    return [
        1e3 * seconds / (batch.size / 3 / 1e6)
        for seconds, batch in zip(time_interleaved(runs, _ROUNDS), batches, strict=True)
    ]


def _batch_for(path: Path) -> np.ndarray:
    model, info = read_onnx(path)
    side = max(info.size_multiple_px, _OPEN_PX // info.size_multiple_px * info.size_multiple_px)
    sizes = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim[:3]]
    shape = [size or default for size, default in zip(sizes, (1, side, side), strict=True)]
    batch = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    return (batch / 255).astype(np.float32) if info.io == "float32" else batch
