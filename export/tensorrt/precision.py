"""What precision an engine really computes in, as TensorRT tells it, and whether that is what was asked for.

The convolutions decide: they are nearly all of the work, and what a silent change of precision would change.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...runtime.errors import EnvironmentFault

_NARROWEST_FIRST = ("int4", "fp8", "int8", "fp16", "bf16", "fp32")
_KEPT = {"int8": ("fp16", "fp32"), "fp16": ("fp32",)}  # what an export may leave some convolutions in
# What TensorRT's inspector writes of a tensor, by version "Half", "FP16" or "Row major linear FP16 format"
_WORDS = {
    "int8": "int8", "bf16": "bf16", "bfloat16": "bf16", "fp16": "fp16", "half": "fp16",
    "fp8": "fp8", "int4": "int4", "fp32": "fp32", "float": "fp32",
}  # fmt: skip


@dataclass(frozen=True)
class BuiltPrecision:
    """How many convolutions compute in which precision.

    Attributes:
        convolutions: number of them by precision: "fp32", "fp16", "int8", …
        read_from: "engine", the finished plan, or "network", the graph that it was built from, whose
            types a strongly typed build keeps.
    """

    convolutions: Mapping[str, int]
    read_from: str

    @property
    def name(self) -> str:
        """The narrowest precision that there is, which is what such an engine is called by."""
        return next((name for name in _NARROWEST_FIRST if self.convolutions.get(name)), "unknown")

    def __str__(self) -> str:
        """Such as "int8 (in the engine, convolutions: 10 int8, 2 fp16)"."""
        counts = ", ".join(
            f"{self.convolutions[name]} {name}" for name in _NARROWEST_FIRST if name in self.convolutions
        )
        return f"{self.name} (in the {self.read_from}, convolutions: {counts})"


def check_precision(asked: str, built: BuiltPrecision) -> None:
    """Make sure that an engine has the precision that it should.

    An INT8 or FP16 file may keep some convolutions in a wider precision, where the narrow one costs too much
    or overflows, and its network then has both; that of FP32 has no other. In a finished engine a fused
    layer can show the type of a cast in front of it, so there the precision has to be found, not to be
    alone.

    Raises:
        EnvironmentFault: it does not.
    """
    found = set(built.convolutions)
    is_pure = found <= {asked, *_KEPT.get(asked, ())} or built.read_from == "engine"
    if asked not in found or not is_pure:
        raise EnvironmentFault(
            f"{asked} was asked for, but TensorRT built {built}; build with another version of TensorRT, or "
            "leave the engine out with --target none"
        )


def precision_in_engine(information: str) -> BuiltPrecision | None:
    """Read what the inspector of an engine that was built with detailed verbosity says.

    Args:
        information: its JSON, of which the layers' types and the formats of their inputs are used.

    Returns:
        None where no convolution can be made out, since its layers were fused into something else.
    """
    try:
        layers = json.loads(information)["Layers"]
    except (ValueError, KeyError, TypeError):
        return None
    found = [_precision_of(layer) for layer in layers if isinstance(layer, dict) and _is_convolution(layer)]
    counts = Counter(precision for precision in found if precision)
    return BuiltPrecision(dict(counts), "engine") if counts else None


def _is_convolution(layer: dict[str, Any]) -> bool:
    return any("conv" in str(layer.get(key, "")).lower() for key in ("LayerType", "ParameterType"))


def _precision_of(layer: dict[str, Any]) -> str | None:
    """Of a layer, that of its first input, which is the picture."""
    tensor = next(iter(layer.get("Inputs") or []), None)
    if not isinstance(tensor, dict):
        return None
    texts = (str(value) for key, value in tensor.items() if "type" in key.lower() or "format" in key.lower())
    words = [word for text in texts for word in text.lower().replace(":", " ").split()]
    return next((_WORDS[word] for word in words if word in _WORDS), None)
