"""Measure what INT8 costs in each convolution, and keep as few in floats as the loss allows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from ..runtime.images.metrics import psnr
from ..runtime.system.console import Log
from .session import open_session, run_session, with_outputs

ALLOWED_LOSS_DB = 0.10

Quantize = Callable[[Collection[str]], onnx.ModelProto]  # names of layers → the graph with these in INT8


@dataclass(frozen=True, eq=False)
class Trial:
    """Inputs for a network, and the images that it should make of them."""

    inputs: np.ndarray  # float32 N×C×H×W, as the network takes them
    images: np.ndarray  # expected results, float32 N×H×W×C in [0, 1]
    to_images: Callable[[np.ndarray], np.ndarray]  # converts the network's results, N×C×H×W, to images

    def results(self, model: onnx.ModelProto) -> Iterator[np.ndarray]:
        """Yield the image that a bare graph makes of each input, float32 H×W×C."""
        session = open_session(model.SerializeToString(), "the network in trial")
        for i in range(len(self.inputs)):
            yield self.to_images(run_session(session, self.inputs[i : i + 1]))[0]

    def psnr_db(self, model: onnx.ModelProto) -> float:
        """Return the mean PSNR over the images, in dB."""
        pairs = zip(self.results(model), self.images, strict=True)
        return float(np.mean([psnr(result, expected) for result, expected in pairs]))


@dataclass(frozen=True)
class LayerLoss:
    """Loss of PSNR, in dB, with this convolution alone in INT8; negative if chance improved it."""

    layer: str
    loss_db: float


@dataclass(frozen=True)
class Choice:
    """The convolutions that become INT8."""

    layers: tuple[str, ...]  # their names, the costliest first
    kept: tuple[str, ...]  # names of those that stay in floats
    loss_db: float  # PSNR in floats less PSNR with `layers` in INT8
    float_db: float  # PSNR in floats


def measure_layers(
    quantize: Quantize, layers: Sequence[str], trial: Trial, float_db: float, log: Log = lambda _: None
) -> list[LayerLoss]:
    """Return the loss of each layer in INT8 alone, the costliest first."""
    losses = []
    for number, layer in enumerate(layers, 1):
        log(f"sensitivity {number}/{len(layers)}: {layer}")
        losses.append(LayerLoss(layer, float_db - trial.psnr_db(quantize([layer]))))
    return sorted(losses, key=lambda loss: -loss.loss_db)


def choose_layers(
    quantize: Quantize,
    losses: Sequence[LayerLoss],
    trial: Trial,
    float_db: float,
    *,
    allowed_db: float = ALLOWED_LOSS_DB,
) -> Choice:
    """Return as many layers as possible for INT8: the costliest go to floats until the loss is allowed.

    If every combination loses more, none is in INT8.
    """
    ordered = [loss.layer for loss in losses]
    for kept in range(len(ordered)):
        loss_db = float_db - trial.psnr_db(quantize(ordered[kept:]))
        if loss_db <= allowed_db:
            return Choice(tuple(ordered[kept:]), tuple(ordered[:kept]), loss_db, float_db)
    return Choice((), tuple(ordered), 0.0, float_db)


def mean_errors(
    bare: onnx.ModelProto, quantized: Sequence[onnx.ModelProto], layer: str, batches: Iterable[np.ndarray]
) -> list[np.ndarray]:
    """Return how far the mean of a layer's result is off in each quantized graph, (channels,) each.

    Args:
        quantized: the same in INT8, with FP32 for the rest.
        batches: inputs, float32 N×C×H×W, at least one.
    """
    result = next(node.output[0] for node in bare.graph.node if node.name == layer)
    name = f"the network up to {layer}"
    sessions = [open_session(with_outputs(model, [result]), name) for model in (bare, *quantized)]
    errors = []
    for batch in batches:
        exact, *rounded = (run_session(session, batch) for session in sessions)
        errors.append([(values - exact).mean(axis=(0, 2, 3)) for values in rounded])
    return list(np.mean(errors, axis=0))
