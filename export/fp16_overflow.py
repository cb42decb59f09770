"""Find the nodes that overflow in FP16, by their values on real and on extreme images."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from ..calibration.network_values import to_network
from ..calibration.session import open_session, run_all, with_outputs
from ..runtime.system.console import Log
from .onnx.float16 import LARGEST
from .source import Source
from .verify.test_images import noisy_images

MARGIN = 2.0  # values of other images may be larger by this factor
_HEIGHT_PX, _WIDTH_PX = 256, 288  # multiples of every network's stride


def nodes_for_fp32(source: Source, log: Log = lambda _: None) -> dict[str, float]:
    """Return the nodes that would overflow in FP16, with the largest magnitude at each of them.

    These are nodes with inputs or outputs beyond half of FP16's largest value (65504), or with weights
    beyond it.

    Raises:
        ModelError: ONNX Runtime cannot run the graph.
    """
    bare = source.bare
    largest = _largest_values(bare, source.info.value_transform)
    for tensor in bare.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values = np.abs(numpy_helper.to_array(tensor)).max(initial=0)
            largest[tensor.name] = float(values) * MARGIN if values > LARGEST else 0.0
    limit = LARGEST / MARGIN
    nodes = {}
    for node in bare.graph.node:
        peak = max((largest.get(name, 0.0) for name in (*node.input, *node.output)), default=0.0)
        if not peak <= limit:  # NaN too
            nodes[node.name] = peak
    if nodes:
        values = f"values up to {max(nodes.values()):.3g}"
        log(f"FP32 is kept where FP16 would overflow ({values}): {', '.join(nodes)}")
    return nodes


def extreme_images(height_px: int, width_px: int) -> np.ndarray:
    """Return black, white, and chequerboards of 1 and 8 px, float32 4×H×W×3 in [0, 1]."""
    y, x = np.indices((height_px, width_px))
    boards = [((y // side + x // side) % 2).astype(np.float32) for side in (1, 8)]
    flat = [np.full((height_px, width_px), value, np.float32) for value in (0, 1)]
    return np.stack([*flat, *boards])[..., None].repeat(3, axis=3)


def _largest_values(bare: onnx.ModelProto, transform: str) -> dict[str, float]:
    graph_input = bare.graph.input[0].name
    names = [node.output[0] for node in bare.graph.node]
    session = open_session(with_outputs(bare, names), "the network")
    images = np.concatenate(
        [noisy_images(_HEIGHT_PX, _WIDTH_PX).noisy, extreme_images(_HEIGHT_PX, _WIDTH_PX)]
    )
    largest: dict[str, float] = {}
    for image in images:
        for name, values in run_all(session, graph_input, to_network(image[None], transform)):
            peak = float(np.abs(values).max())
            largest[name] = peak if np.isnan(peak) else max(peak, largest.get(name, 0.0))
    return largest
