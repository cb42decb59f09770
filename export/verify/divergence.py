"""Find the first layer in which a graph diverges from its reference."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx

from ..onnx.from_torch import NETWORK_INPUT
from .node_by_node import run_node_by_node
from .reference import Reference

# relative error at which a layer has diverged; in a sound U-Net, rounding causes at most 1e-6, 2e-3, 0.05
RELATIVE_ERROR_LIMIT = {"fp32": 1e-5, "fp16": 1e-2, "int8": 0.3, "int8-cpu": 0.3}


def describe_divergence(
    bare: onnx.ModelProto, precision: str, reference: Reference, batch: np.ndarray
) -> str:
    """Return a phrase that names the first layer of `bare` whose result is not the reference's.

    Args:
        precision: of the graph, as in ModelInfo.
        batch: float32 N×C×H×W in [0, 1], as the network takes it; may be small.
    """
    dtype = np.float16 if precision in ("fp16", "int8") else np.float32
    layers = dict(run_node_by_node(bare, {NETWORK_INPUT: batch.astype(dtype)}))
    found = first_divergence(reference.layers(batch), layers, limit=RELATIVE_ERROR_LIMIT[precision])
    if found is None:
        return "no layer by itself diverges"
    return f"it first diverges in layer '{found[0]}' (relative error {found[1]:.2g})"


def first_divergence(
    expected: Iterable[tuple[str, np.ndarray]], results: dict[str, np.ndarray], *, limit: float
) -> tuple[str, float] | None:
    """Return the first layer whose relative error exceeds `limit`, and that error; None if all agree.

    The error is the RMS of the difference over that of the reference, infinite if a value is not finite.
    Layers of only one side are skipped.
    """
    for name, reference in expected:
        if name in results and not (error := _relative_error(results[name], reference)) <= limit:
            return name, error
    return None


def _relative_error(result: np.ndarray, reference: np.ndarray) -> float:
    if not np.isfinite(result).all():
        return float("inf")
    error, size = _rms(result.astype(np.float64) - reference), _rms(reference.astype(np.float64))
    return error / max(size, np.finfo(np.float32).tiny)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))
