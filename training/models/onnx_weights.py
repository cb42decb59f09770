"""The weights of a model that n2b exported, read from its ONNX file without the onnx package.

Of a protocol buffer (protobuf.dev/programming-guides/encoding) three messages are followed: ModelProto.graph
(field 7), GraphProto.initializer (5), and of each TensorProto dims (1), data_type (2), name (8) and raw_data
(9), as onnx.proto3 numbers them. The rest is passed over.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from ...runtime.errors import ModelError

_GRAPH, _INITIALIZER = 7, 5
_DIMS, _DATA_TYPE, _NAME, _RAW_DATA = 1, 2, 8, 9
_TYPES = {1: torch.float32, 10: torch.float16}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def read_weights(path: Path) -> dict[str, Tensor]:
    """Floating-point initialisers by name, as float32.

    Raises:
        ModelError: there is no such file, it is no ONNX, or damaged.
    """
    try:
        data = memoryview(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    weights = {}
    try:
        for graph in _messages(data, _GRAPH):
            for tensor in _messages(graph, _INITIALIZER):
                name, value = _tensor(tensor)
                if value is not None:
                    weights[name] = value
    except (IndexError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path} is no ONNX model, or damaged") from error
    if not weights:
        raise ModelError(f"{path} is no ONNX model with weights in it")
    return weights


def _tensor(message: memoryview) -> tuple[str, Tensor | None]:
    """Name and values; None for integers and for what is not kept as raw data."""
    sizes: list[int] = []
    kind, name, raw = 0, "", None
    for field, value in _fields(message):
        if field == _DIMS:
            sizes += [value] if isinstance(value, int) else _packed(value)
        elif field == _DATA_TYPE and isinstance(value, int):
            kind = value
        elif field == _NAME and not isinstance(value, int):
            name = bytes(value).decode()
        elif field == _RAW_DATA and not isinstance(value, int):
            raw = value
    if kind not in _TYPES or raw is None or not math.prod(sizes):
        return name, None
    return name, torch.frombuffer(bytearray(raw), dtype=_TYPES[kind]).view(sizes).float()


def _messages(data: memoryview, number: int) -> Iterator[memoryview]:
    for field, value in _fields(data):
        if field == number and not isinstance(value, int):
            yield value


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field: an int, or the bytes of a string, message or fixed number."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if key & 7 == _VARINT:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        size = {_FIXED64: 8, _FIXED32: 4}.get(key & 7)
        if key & 7 == _BYTES:
            size, at = _varint(data, at)
        if size is None or at + size > len(data):
            raise ValueError("no such field")
        yield key >> 3, data[at : at + size]
        at += size


def _packed(data: memoryview) -> list[int]:
    numbers, at = [], 0
    while at < len(data):
        number, at = _varint(data, at)
        numbers.append(number)
    return numbers


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if byte < 0x80:
            return number, at
        if shift > 63:
            raise ValueError("no number")
