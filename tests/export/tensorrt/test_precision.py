from __future__ import annotations

import json
from typing import Any

import pytest
from n2b.export.tensorrt.precision import BuiltPrecision, check_precision, precision_in_engine
from n2b.runtime.errors import EnvironmentFault


def layer(kind: str, *inputs: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"Name": "down.1", "LayerType": kind, "Inputs": list(inputs), **more}


def information(*layers: Any) -> str:
    return json.dumps({"Layers": list(layers), "Bindings": ["image", "denoised"]})


@pytest.mark.parametrize(
    ("tensor", "precision"),
    [
        ({"Format/Datatype": "Half"}, "fp16"),
        ({"Format/Datatype": "Channel major FP16 format where channel % 8 == 0"}, "fp16"),
        ({"Format/Datatype": "Row major linear FP32"}, "fp32"),
        ({"Format": "Thirty-two wide channel vectorized row major Int8 format"}, "int8"),
        ({"Format/Datatype": "N/A due to dynamic shapes", "Datatype": "Float"}, "fp32"),
        ({"Format/Datatype": "Row major linear BFloat16"}, "bf16"),
    ],
)
def test_each_version_s_words_for_a_type_are_understood(tensor: dict[str, str], precision: str) -> None:
    tensor = {"Name": "FP32 by its name", "Location": "Device", **tensor}
    built = precision_in_engine(information(layer("CaskConvolution", tensor)))
    assert built == BuiltPrecision({precision: 1}, "engine")


def test_convolutions_are_counted_and_nothing_else() -> None:
    half, float_, int8 = ({"Format/Datatype": word} for word in ("Half", "Float", "Int8"))
    built = precision_in_engine(
        information(
            layer("Reformat", float_, half),
            layer("CaskConvolution", int8, float_),
            layer("CaskConvolution", int8),
            layer("kgen", half, ParameterType="Convolution"),
            layer("CaskPooling", float_),
        )
    )
    assert built is not None
    assert built.convolutions == {"int8": 2, "fp16": 1}
    assert built.name == "int8"
    assert str(built) == "int8 (in the engine, convolutions: 2 int8, 1 fp16)"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not JSON",
        "[]",
        "{}",
        information("names alone", "where verbosity is not detailed"),
        information(layer("Myelin", {"Format/Datatype": "Half"})),
        information(layer("CaskConvolution")),
        information(layer("CaskConvolution", {"Name": "x"})),
    ],
)
def test_where_no_convolution_is_told_nothing_is_known(text: str) -> None:
    assert precision_in_engine(text) is None


@pytest.mark.parametrize(
    ("asked", "convolutions", "read_from"),
    [
        ("fp32", {"fp32": 12}, "network"),
        ("fp16", {"fp16": 12}, "network"),
        ("int8", {"int8": 10, "fp16": 2}, "network"),
        ("int8", {"int8": 10, "fp32": 2}, "engine"),
        ("fp16", {"fp16": 11, "fp32": 1}, "network"),  # FP32 where FP16 would overflow
        ("fp16", {"fp16": 11, "fp32": 1}, "engine"),  # a cast that was fused into the first convolution
    ],
)
def test_what_was_asked_for_is_let_through(asked: str, convolutions: dict[str, int], read_from: str) -> None:
    check_precision(asked, BuiltPrecision(convolutions, read_from))


@pytest.mark.parametrize(
    ("asked", "convolutions", "read_from"),
    [
        ("fp16", {"fp32": 12}, "network"),
        ("fp16", {"fp32": 12}, "engine"),
        ("fp32", {"fp16": 12}, "network"),
        ("fp32", {"fp16": 1, "fp32": 11}, "network"),
        ("int8", {"int8": 10, "fp8": 2}, "network"),
        ("int8", {"fp16": 12}, "engine"),
        ("fp16", {"int8": 10, "fp16": 2}, "network"),
        ("fp32", {}, "network"),
    ],
)
def test_another_precision_is_an_error(asked: str, convolutions: dict[str, int], read_from: str) -> None:
    with pytest.raises(EnvironmentFault, match=rf"{asked} was asked for, but TensorRT built \w+ \(in the"):
        check_precision(asked, BuiltPrecision(convolutions, read_from))
