"""Which convolutions bear INT8: each measured alone, and as few left in floats as the loss allows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from ..runtime.images.metrics import psnr
from .session import open_session, run_session

ALLOWED_LOSS_DB = 0.10


@dataclass(frozen=True, eq=False)
class Trial:
    """What a network is tried on.

    Attributes:
        inputs: float32 N×C×H×W, as the network takes them.
        images: float32 N×H×W×C in [0, 1], what should come out.
        to_images: from the network's results, N×C×H×W, to images.
    """

    inputs: np.ndarray
    images: np.ndarray
    to_images: Callable[[np.ndarray], np.ndarray]

    def results(self, model: onnx.ModelProto) -> Iterator[np.ndarray]:
        """The images that a graph without contract makes of the inputs, one by one, float32 H×W×C."""
        session = open_session(model.SerializeToString(), "the network in trial")
        for i in range(len(self.inputs)):
            yield self.to_images(run_session(session, self.inputs[i : i + 1]))[0]

    def psnr_db(self, model: onnx.ModelProto) -> float:
        """Mean over the images, in dB."""
        results = self.results(model)
        return float(np.mean([psnr(made, meant) for made, meant in zip(results, self.images, strict=True)]))


@dataclass(frozen=True)
class LayerLoss:
    """What INT8 in this convolution alone costs, in dB of PSNR; negative when chance improved it."""

    layer: str
    loss_db: float


@dataclass(frozen=True)
class Choice:
    """The convolutions that are to be INT8.

    Attributes:
        layers: their names, the costliest first.
        kept: those that stay in floats.
        loss_db: PSNR in floats less that with `layers` in INT8.
        float_db: PSNR in floats.
    """

    layers: tuple[str, ...]
    kept: tuple[str, ...]
    loss_db: float
    float_db: float

    @property
    def is_good(self) -> bool:
        """Whether the loss is one that is allowed."""
        return self.loss_db <= ALLOWED_LOSS_DB


def result_layers(bare: onnx.ModelProto) -> set[str]:
    """The convolutions that make the result, with no other behind them.

    They stay in floats: what they make is seen, and 8 bits there would be bands in a clear sky.
    """
    makers = {node.output[0]: node for node in bare.graph.node}
    found, waiting = set(), [bare.graph.output[0].name]
    while waiting:
        node = makers.get(waiting.pop())
        if node is None:
            continue
        if node.op_type == "Conv":
            found.add(node.name)
        else:
            waiting += node.input
    return found


def measure_layers(
    quantize: Callable[[Collection[str]], onnx.ModelProto],
    layers: Sequence[str],
    trial: Trial,
    float_db: float,
    say: Callable[[str], None] = lambda _: None,
) -> list[LayerLoss]:
    """What each of the layers costs in INT8 alone, the costliest first."""
    losses = []
    for number, layer in enumerate(layers, 1):
        say(f"sensitivity {number}/{len(layers)}: {layer}")
        losses.append(LayerLoss(layer, float_db - trial.psnr_db(quantize([layer]))))
    return sorted(losses, key=lambda loss: -loss.loss_db)


def choose_layers(
    quantize: Callable[[Collection[str]], onnx.ModelProto],
    losses: Sequence[LayerLoss],
    trial: Trial,
    float_db: float,
    *,
    allowed_db: float = ALLOWED_LOSS_DB,
) -> Choice:
    """As many layers as possible in INT8: the costliest go back to floats until the loss is allowed.

    Args:
        quantize: gives the graph with the named layers in INT8.
        losses: as `measure_layers` gives them.
        trial, float_db: the images, and the PSNR on them in floats.
        allowed_db: the most that may be lost.

    Returns:
        The choice; with no layer in INT8 when nothing else will do.
    """
    ordered = [loss.layer for loss in losses]
    kept, layers, loss_db = 0, ordered, allowed_db + 1
    while layers and loss_db > allowed_db:
        loss_db = float_db - trial.psnr_db(quantize(layers))
        if loss_db > allowed_db:
            kept += 1
            layers = ordered[kept:]
    loss_db = loss_db if layers else 0.0
    return Choice(tuple(layers), tuple(ordered[:kept]), loss_db, float_db)
