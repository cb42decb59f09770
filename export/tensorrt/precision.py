"""Read the precision that TensorRT built, and compare it with the one asked for.

Only convolutions count: they are nearly all of the work, and a silent change of precision would show there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...runtime.errors import EnvironmentFault

if TYPE_CHECKING:  # the stubs of one flavour check the calls to both
    import tensorrt as trt

_NARROWEST_FIRST = ("int4", "fp8", "int8", "fp16", "bf16", "fp32")
_KEPT = {
    "int8": ("fp16", "fp32"),
    "fp16": ("fp32",),
}  # wider precisions that some convolutions of an export may have
# Words of TensorRT's inspector; by version "Half", "FP16" or "Row major linear FP16 format"
_WORDS = {
    "int8": "int8", "bf16": "bf16", "bfloat16": "bf16", "fp16": "fp16", "half": "fp16",
    "fp8": "fp8", "int4": "int4", "fp32": "fp32", "float": "fp32",
}  # fmt: skip


_PRECISIONS = {
    "FLOAT": "fp32", "HALF": "fp16", "BF16": "bf16", "INT8": "int8", "FP8": "fp8", "INT4": "int4",
}  # fmt: skip


@dataclass(frozen=True)
class BuiltPrecision:
    """Number of convolutions in each precision."""

    convolutions: Mapping[str, int]  # their number by precision: "fp32", "fp16", "int8", …
    # "engine", the finished plan, or "network", the parsed graph, whose types a strongly typed build keeps
    read_from: str

    @property
    def name(self) -> str:
        """The narrowest precision present, by which the engine is called."""
        return next((name for name in _NARROWEST_FIRST if self.convolutions.get(name)), "unknown")

    def __str__(self) -> str:
        """Return text such as "int8 (in the engine, convolutions: 10 int8, 2 fp16)"."""
        counts = ", ".join(
            f"{self.convolutions[name]} {name}" for name in _NARROWEST_FIRST if name in self.convolutions
        )
        return f"{self.name} (in the {self.read_from}, convolutions: {counts})"


def check_precision(asked: str, built: BuiltPrecision) -> None:
    """Check that an engine has the expected precision.

    The network of an INT8 or FP16 file may keep some convolutions in a wider precision; that of an FP32 file
    has no other. In a finished engine a fused layer can show the type of a cast before it, so there the
    precision must be present, but may not be the only one.

    Raises:
        EnvironmentFault: it has another precision.
    """
    found = set(built.convolutions)
    is_pure = found <= {asked, *_KEPT.get(asked, ())} or built.read_from == "engine"
    if asked not in found or not is_pure:
        raise EnvironmentFault(
            f"{asked} was asked for, but TensorRT built {built}; build with another version of TensorRT, or "
            "leave the engine out with --target none"
        )


def precision_of_network(network: trt.INetworkDefinition) -> BuiltPrecision:
    """Return the precision of a parsed network's convolutions.

    A convolution with a quantized input (QuantizeLinear, DequantizeLinear) runs in the quantized type.
    """
    layers = [network.get_layer(i) for i in range(network.num_layers)]
    made_by = {layer.get_output(i).name: layer for layer in layers for i in range(layer.num_outputs)}
    counts: Counter[str] = Counter()
    for layer in layers:
        if layer.type.name in ("CONVOLUTION", "DECONVOLUTION"):
            activations = layer.get_input(0)
            source_layer: Any = made_by.get(activations.name)
            if source_layer is not None and source_layer.type.name == "DEQUANTIZE":
                activations = source_layer.get_input(0)
            counts[_PRECISIONS.get(activations.dtype.name, activations.dtype.name.lower())] += 1
    return BuiltPrecision(dict(counts), "network")


def precision_in_engine(information: str) -> BuiltPrecision | None:
    """Read the precision from the inspector of an engine that was built with detailed verbosity.

    None if no convolution is recognizable, since all were fused into other layers.
    """
    try:
        entries = json.loads(information)["Layers"]
    except (ValueError, KeyError, TypeError):
        return None
    found = [_precision_of(entry) for entry in entries if isinstance(entry, dict) and _is_convolution(entry)]
    counts = Counter(precision for precision in found if precision)
    return BuiltPrecision(dict(counts), "engine") if counts else None


def _is_convolution(entry: dict[str, Any]) -> bool:
    return any("conv" in str(entry.get(key, "")).lower() for key in ("LayerType", "ParameterType"))


def _precision_of(entry: dict[str, Any]) -> str | None:
    """Return the precision of a layer's first input, its activations."""
    tensor = next(iter(entry.get("Inputs") or []), None)
    if not isinstance(tensor, dict):
        return None
    texts = (str(value) for key, value in tensor.items() if "type" in key.lower() or "format" in key.lower())
    words = [word for text in texts for word in text.lower().replace(":", " ").split()]
    return next((_WORDS[word] for word in words if word in _WORDS), None)
