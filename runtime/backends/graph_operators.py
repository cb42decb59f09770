"""Refuse ONNX files with operators that no denoiser has, before a library runs any of them.

A loop may never end, and a library computes constant parts of a graph while it loads it. Only the fields of
the protobuf format that name operators are read; weights are skipped.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from ..errors import ModelError, short_repr

# Those of the networks and of the exported contract, and others of plain convolutional networks. No control
# flow, nothing random, and nothing that makes a tensor whose size a value decides.
_NAMES = """
    Abs Add AveragePool BatchNormalization Cast Ceil Clip Concat Constant Conv ConvTranspose CumSum
    DepthToSpace DequantizeLinear Div Dropout Elu Equal Erf Exp Flatten Floor Gather Gelu Gemm
    GlobalAveragePool GlobalMaxPool Greater GroupNormalization HardSigmoid HardSwish Identity
    InstanceNormalization LayerNormalization LeakyRelu Less Log MatMul Max MaxPool Mean Min Mish Mul
    Neg Not PRelu Pad Pow QuantizeLinear Reciprocal ReduceMax ReduceMean ReduceMin ReduceSum Relu
    Reshape Resize Round Selu Shape Sigmoid Sign Slice Softmax Softplus SpaceToDepth Split Sqrt
    Squeeze Sub Sum Tanh Transpose Unsqueeze Upsample Where
"""
OPERATORS = frozenset(_NAMES.split())
_DOMAINS = ("", "ai.onnx")

# Numbers of fields in onnx.proto
_GRAPH, _FUNCTIONS = 7, 25  # of ModelProto
_NODE = 1  # of GraphProto
_OPERATOR, _DOMAIN = 4, 7  # of NodeProto
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types


def check_operators(model: Path) -> None:
    """Raise ModelError if a graph contains an operator that is not in OPERATORS, or the file is damaged."""
    try:
        with open(model, "rb") as file:
            if not file.seek(0, 2):
                raise ModelError(f"{model} is empty; export the model again")
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # closed with the last view of it
            unknown = _unknown_operator(memoryview(data))
    except (OSError, IndexError, ValueError) as error:
        raise ModelError(
            f"{model} cannot be loaded: it is damaged, or no ONNX file; export it again"
        ) from error
    if unknown is not None:
        raise ModelError(
            f"{model} is not a denoiser of n2b: it contains {unknown}, which no denoiser has; use n2b-export"
        )


def _unknown_operator(model: memoryview) -> str | None:
    for number, graph in _fields(model):
        if number == _FUNCTIONS:
            return "functions of its own"
        if number != _GRAPH:
            continue
        for part, node in _fields(graph):
            if part != _NODE:
                continue
            named = {field: bytes(value) for field, value in _fields(node) if field in (_OPERATOR, _DOMAIN)}
            operator, domain = (
                named.get(key, b"").decode("utf-8", "replace") for key in (_OPERATOR, _DOMAIN)
            )
            if domain not in _DOMAINS or operator not in OPERATORS:
                return f"the operator {short_repr(f'{domain}.{operator}' if domain else operator)}"
    return None


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield the number and bytes of each field of a message that has bytes; skip the others.

    Raises:
        IndexError, ValueError: the message is damaged.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire_type = key >> 3, key & 7
        if number == 0:
            raise ValueError("there is no field 0")
        if wire_type == _VARINT:
            _, at = _varint(message, at)
        elif wire_type == _BYTES:
            size, at = _varint(message, at)
            if at + size > len(message):
                raise ValueError("a field is longer than its message")
            yield number, message[at : at + size]
            at += size
        elif wire_type in (_FIXED64, _FIXED32):
            at += 8 if wire_type == _FIXED64 else 4
        else:
            raise ValueError(f"unknown wire type {wire_type}")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, the lowest first, and the place after it."""
    value = shift = 0
    while shift < 70:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError("a number is too long")
