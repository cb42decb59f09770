"""What TensorRT tells of the network that it is about to build: its precision, and what a DLA takes of it."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from ...runtime.errors import EnvironmentFault
from .precision import BuiltPrecision

if TYPE_CHECKING:  # the stubs of one flavour check the calls to both
    import tensorrt as trt

_logger = logging.getLogger(__name__)

_PRECISIONS = {
    "FLOAT": "fp32", "HALF": "fp16", "BF16": "bf16", "INT8": "int8", "FP8": "fp8", "INT4": "int4",
}  # fmt: skip


def precision_of_network(network: trt.INetworkDefinition) -> BuiltPrecision:
    """The precision of a parsed network's convolutions.

    A convolution whose input was quantised (QuantizeLinear, DequantizeLinear) runs in the quantised type.
    """
    layers = [network.get_layer(i) for i in range(network.num_layers)]
    made_by = {layer.get_output(i).name: layer for layer in layers for i in range(layer.num_outputs)}
    counts: Counter[str] = Counter()
    for layer in layers:
        if layer.type.name in ("CONVOLUTION", "DECONVOLUTION"):
            picture = layer.get_input(0)
            source_layer: Any = made_by.get(picture.name)
            if source_layer is not None and source_layer.type.name == "DEQUANTIZE":
                picture = source_layer.get_input(0)
            counts[_PRECISIONS.get(picture.dtype.name, picture.dtype.name.lower())] += 1
    return BuiltPrecision(dict(counts), "network")


def check_dla_takes_some(network: trt.INetworkDefinition, config: trt.IBuilderConfig, core: int) -> None:
    """Tell how much of a network a DLA takes, before it is built.

    Raises:
        EnvironmentFault: it takes nothing.
    """
    taken = sum(config.can_run_on_DLA(network.get_layer(i)) for i in range(network.num_layers))
    if taken == 0:
        raise EnvironmentFault(f"DLA core {core} takes no layer of this network; leave --dla out")
    if taken < network.num_layers:
        _logger.warning(
            f"DLA core {core} takes {taken} of {network.num_layers} layers; the GPU takes the others"
        )
