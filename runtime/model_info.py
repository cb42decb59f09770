"""Describe a model: its input format, tiling, training and measurements.

The description is JSON in the metadata of an ONNX file (key `n2b`), and in `<engine>.json` next to an engine,
so that no user has to guess a channel order, a value range or a tile size.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from .errors import ModelError, short_repr

METADATA_KEY = "n2b"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class ModelInfo:
    """The description of a model.

    The graph has one input `image`, N×H×W×3, RGB, and one output `denoised` of the same shape and dtype:
    uint8 in 0..255, or float32 in [0, 1] (`io`). It includes scaling, layout change, clamp and rounding.
    """

    architecture: str  # "unet": the paper's DnNet
    io: str = "uint8"  # dtype of the graph's input and output: "uint8" or "float32"
    precision: str = "fp32"  # of the weights and activations: "fp32", "fp16", "int8", "int8-cpu"
    value_transform: str = "identity"  # of pixel values, before and after the network
    channel_order: str = "rgb"
    layout: str = "NHWC"
    size_multiple_px: int = 1  # H and W must be multiples of this
    receptive_radius_px: int = 0  # largest distance of an input pixel that affects an output pixel
    default_halo_px: int = 0  # overlap with a measured error below one grey level
    parameters: int = 0
    flops_per_pixel: int = 0  # a multiply-add counts as two
    trained: dict[str, Any] = field(default_factory=dict)  # data, noise, filter, method, steps, time
    measured: dict[str, Any] = field(default_factory=dict)  # e.g. {"psnr_db": …, "data": …}
    calibration: dict[str, Any] = field(default_factory=dict)  # of INT8: method, tiles and their hash, layers
    sources: dict[str, str] = field(default_factory=dict)  # files it was made from: name → SHA-256
    engine: dict[str, Any] = field(default_factory=dict)  # TensorRT variant, version, GPU and profile
    schema: int = SCHEMA_VERSION

    def to_json(self, *, indent: int | None = None) -> str:
        """Return the description as a JSON object."""
        return json.dumps(dataclasses.asdict(self), indent=indent, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, *, source: str) -> ModelInfo:
        """Parse the output of `to_json`; ignore fields that a newer n2b added.

        Raises:
            ModelError: the text does not describe a model that this version can use.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ModelError(
                f"{source}: its description is not valid JSON; export the model again"
            ) from error
        if not isinstance(values, dict):
            raise ModelError(f"{source}: its description is not a JSON object; export the model again")
        schema = values.get("schema")
        if not isinstance(schema, int) or schema < 1:
            raise ModelError(f"{source}: its description has no schema version; export the model again")
        if schema > SCHEMA_VERSION:
            raise ModelError(
                f"{source} was written by a newer n2b (schema {schema}, this one reads up to "
                f"{SCHEMA_VERSION}); upgrade n2b or export the model again"
            )
        values = {name: value for name, value in values.items() if name in _FIELD_TYPES}
        _check_types(values, source)
        try:
            info = cls(**values)
            info.to_json()  # so that models made from this one can be described too
        except TypeError as error:
            raise ModelError(
                f"{source}: its description lacks a field ({error}); export the model again"
            ) from error
        except RecursionError as error:
            raise ModelError(
                f"{source}: its description is nested too deep; export the model again"
            ) from error
        return info


_FIELD_TYPES = {
    f.name: {"str": str, "int": int}.get(str(f.type), dict) for f in dataclasses.fields(ModelInfo)
}
_ALLOWED = {
    "io": ("uint8", "float32"),
    "precision": ("fp32", "fp16", "int8", "int8-cpu"),
    "channel_order": ("rgb",),
    "layout": ("NHWC",),
}
MAX_SIDE_PX = 1 << 16  # of a tile, and of its parts
_MOST = {  # of numbers in a description; all are 0 at least
    "size_multiple_px": MAX_SIDE_PX,
    "receptive_radius_px": MAX_SIDE_PX,
    "default_halo_px": MAX_SIDE_PX,
    "parameters": 10**12,
    "flops_per_pixel": 10**12,
}
_MAX_NAME = 100  # characters


def _check_types(values: dict[str, Any], source: str) -> None:
    for name, value in values.items():
        expected = _FIELD_TYPES[name]
        if not isinstance(value, expected) or (expected is int and (isinstance(value, bool) or value < 0)):
            raise ModelError(
                f"{source}: '{name}' in its description is {short_repr(value)}; export the model again"
            )
        if name in _MOST and value > _MOST[name]:
            raise ModelError(
                f"{source}: '{name}' in its description is {short_repr(value)}, more than any model has "
                f"({_MOST[name]}); export the model again"
            )
        if expected is str and (len(value) > _MAX_NAME or not value.isprintable()):
            raise ModelError(
                f"{source}: '{name}' in its description is no name, {short_repr(value)}; "
                "export the model again"
            )
        if name in _ALLOWED and value not in _ALLOWED[name]:
            allowed = ", ".join(_ALLOWED[name])
            raise ModelError(f"{source}: '{name}' is {short_repr(value)}, expected one of {allowed}")
    if values.get("size_multiple_px", 1) < 1:
        raise ModelError(f"{source}: 'size_multiple_px' in its description is 0; export the model again")
