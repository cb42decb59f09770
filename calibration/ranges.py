"""Measure the range of every activation of a network, one tile at a time."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from ..runtime.errors import ModelError, UserError
from ..runtime.system.files import parse_json, write_atomically
from .histogram import Histogram, entropy_threshold
from .session import open_session, run_all, with_outputs

if TYPE_CHECKING:
    import onnx

RANGES_NAME = "ranges.json"  # file name, and key among the sources in an INT8 model's description
Method = Literal["percentile", "minmax", "entropy"]
METHODS: tuple[Method, ...] = get_args(Method)
PERCENTILE = 99.99
SCHEMA = 1
_LARGEST_BYTES = 16_000_000  # of a file; a network of a thousand layers fills 1 % of it
Ranges = dict[str, tuple[float, float]]  # (low, high) by the name of the tensor, low ≤ 0 ≤ high

# operators that only pass on values of their input, and so have its range
SAME_RANGE = ("MaxPool", "Resize", "DepthToSpace", "Transpose")


@dataclass(frozen=True)
class ActivationRanges:
    """The lowest and highest value of each activation that INT8 has to represent."""

    method: str  # one of METHODS
    network: str  # SHA-256 of the network that was measured
    ranges: Ranges  # by the name of the tensor
    tiles: dict[str, Any]  # description of the tiles: count, tile_px, seed, sha256, names

    def save(self, path: Path) -> None:
        """Write JSON."""
        text = json.dumps({"schema": SCHEMA, **asdict(self)}, indent=1, ensure_ascii=False)
        write_atomically(path, (text + "\n").encode())


def load_ranges(path: Path, network: str) -> ActivationRanges:
    """Read what `ActivationRanges.save` wrote.

    Raises:
        UserError: there is no such file, or it is of another network.
        ModelError: it is damaged, or larger than 16 MB.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise UserError(
            f"{path} cannot be read: {error.strerror}; leave out --ranges to measure them"
        ) from error
    if len(data) > _LARGEST_BYTES:
        raise ModelError(
            f"{path} holds no ranges (it is larger than 16 MB); leave out --ranges to measure them"
        )
    try:
        values = parse_json(data)
    except ValueError as error:
        raise ModelError(
            f"{path} holds no ranges (it is not JSON); leave out --ranges to measure them"
        ) from error
    ranges = _parse(values, path)
    if ranges.network != network:
        raise UserError(f"{path} was measured on another network; leave out --ranges to measure this one's")
    return ranges


def measure_ranges(bare: onnx.ModelProto, batches: Iterable[np.ndarray], *, method: str = "minmax") -> Ranges:
    """Run a network over tiles and measure the range of each activation in constant memory.

    Args:
        bare: an FP32 graph without input/output contract.
        batches: its inputs, float32 N×C×H×W, taken one at a time.
        method: "minmax": the lowest and highest value. "percentile": without the outermost 0.005 % of values
            on either side. "entropy": clipped symmetrically where 128 levels lose the least information
            (Kullback-Leibler divergence), as TensorRT's calibrators do.

    Returns:
        (low, high) by the name of the tensor, low ≤ 0 ≤ high; without tensors that only pass values
        on, such as a MaxPool's (see `range_of`).

    Raises:
        UserError: the method is unknown.
        ModelError: ONNX Runtime cannot run the graph, or an activation is not finite; the message names it.
    """
    if method not in METHODS:
        raise UserError(f"unknown calibration method '{method}'; known: {', '.join(METHODS)}")
    names = [bare.graph.input[0].name]
    names += [node.output[0] for node in bare.graph.node if node.op_type not in SAME_RANGE]
    session = open_session(with_outputs(bare, names[1:]), "the network to calibrate")
    histograms = {name: Histogram(counts=method != "minmax") for name in names}
    for batch in batches:
        for name, values in run_all(session, names[0], batch):
            if not math.isfinite(histograms[name].add(values)):
                raise ModelError(
                    f"layer '{name}' produces values that are not finite; this network cannot be INT8"
                )
    return {name: _range(histogram, method) for name, histogram in histograms.items()}


def range_of(bare: onnx.ModelProto, ranges: Ranges, tensor: str) -> tuple[float, float]:
    """Return the range of a tensor, which may only pass on another's values.

    Raises:
        ModelError: it was not measured.
    """
    makers = {node.output[0]: node for node in bare.graph.node}
    while tensor not in ranges and tensor in makers and makers[tensor].op_type in SAME_RANGE:
        tensor = makers[tensor].input[0]
    if tensor not in ranges:
        raise ModelError(f"the ranges lack '{tensor}'; measure them again, without --ranges")
    return ranges[tensor]


def _range(histogram: Histogram, method: str) -> tuple[float, float]:
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    if method == "percentile":
        inner_low, inner_high = histogram.quantiles((100 - PERCENTILE) / 200, (100 + PERCENTILE) / 200)
        low, high = max(low, min(inner_low, 0.0)), min(high, max(inner_high, 0.0))
    elif method == "entropy":
        threshold = entropy_threshold(histogram.magnitudes(), histogram.reach)
        low, high = max(low, -threshold), min(high, threshold)
    return float(low), float(high)


def _parse(values: Any, path: Path) -> ActivationRanges:
    complaint = f"{path} holds no ranges that this n2b can use; leave out --ranges to measure them"
    if not isinstance(values, dict) or values.get("schema") != SCHEMA:
        raise ModelError(complaint)
    method, network, ranges, tiles = (values.get(name) for name in ("method", "network", "ranges", "tiles"))
    if method not in METHODS or not isinstance(network, str) or not isinstance(tiles, dict):
        raise ModelError(complaint)
    if not isinstance(ranges, dict) or not all(map(_is_range, ranges.values())):
        raise ModelError(complaint)
    return ActivationRanges(method, network, {name: (r[0], r[1]) for name, r in ranges.items()}, tiles)


def _is_range(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 2:
        return False
    if not all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < 1e30 for v in value):
        return False
    return value[0] <= 0 <= value[1]
