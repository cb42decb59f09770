"""How fast an ONNX file is on this machine's CPU."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import numpy as np

from ..calibration.session import open_session, run_session
from .onnx_file import read_onnx

_OPEN_PX = 256  # side of the input where the file leaves it open
_RUNS = 3


def ms_per_megapixel(path: Path) -> float:
    """Milliseconds for a million pixels in ONNX Runtime on all cores, the median of three runs.

    Args:
        path: an ONNX file that n2b-export wrote.

    Raises:
        ModelError: ONNX Runtime cannot run it.
    """
    model, info = read_onnx(path)
    sizes = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim[:3]]
    side = max(info.size_multiple_px, _OPEN_PX // info.size_multiple_px * info.size_multiple_px)
    shape = [size or default for size, default in zip(sizes, (1, side, side), strict=True)]
    batch = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    if info.io == "float32":
        batch = (batch / 255).astype(np.float32)
    session = open_session(path, path.name)
    run_session(session, batch)  # the first run prepares
    seconds = []
    for _ in range(_RUNS):
        start = time.perf_counter()
        run_session(session, batch)
        seconds.append(time.perf_counter() - start)
    return 1e3 * statistics.median(seconds) / (np.prod(shape) / 1e6)
