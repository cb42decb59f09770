"""Refuse ONNX files that need more than a plain graph: other files, other opsets, functions, subgraphs.

n2b writes and reads single graphs of standard operators with their weights inside.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from google.protobuf.message import Message
from onnx import numpy_helper

from ...runtime.errors import ModelError, short_repr
from .opset import DEFAULT_OPSET, OPSETS, opset_of

EXPECTED_INPUT = "one input 'image' of uint8 or float32, N×H×W×3"
_STANDARD_DOMAINS = ("", "ai.onnx")


def keeps_data_elsewhere(model: onnx.ModelProto) -> bool:
    """Return True if any tensor of a model, at any depth, has its values in another file."""
    return any(t.data_location == onnx.TensorProto.EXTERNAL or t.external_data for t in _tensors(model))


def refuse_unknown_features(model: onnx.ModelProto, source: str) -> None:
    """Raise ModelError unless a model is one graph of standard operators in a supported opset."""
    opset = opset_of(model)
    if opset not in OPSETS:
        found = f"of opset {opset}" if opset else "of no opset"
        raise ModelError(
            f"{source} is {found}; n2b reads {OPSETS.start} to {OPSETS.stop - 1}: "
            f"export it again with --opset {DEFAULT_OPSET}"
        )
    used = {node.domain for node in model.graph.node} | {entry.domain for entry in model.opset_import}
    foreign = sorted(used.difference(_STANDARD_DOMAINS))
    if foreign:
        raise ModelError(f"{source} has operators of {short_repr(foreign[0])}; n2b reads ONNX's own only")
    if model.functions or model.training_info or model.graph.sparse_initializer or _has_subgraphs(model):
        raise ModelError(
            f"{source} has functions, branches, loops or sparse weights, which no denoiser of n2b has; "
            "name a file that n2b-export wrote"
        )


def refuse_broken_weights(model: onnx.ModelProto, source: str) -> None:
    """Raise ModelError if a weight has more or fewer values than its shape, which ONNX's checker allows."""
    for tensor in model.graph.initializer:
        try:
            numpy_helper.to_array(tensor)
        except Exception as error:  # onnx raises various classes
            name, shape = short_repr(tensor.name), "×".join(map(str, tensor.dims[:6]))
            raise ModelError(
                f"{source} is damaged: its weight {name} does not hold what its shape, {shape}, requires; "
                "copy or export it again"
            ) from error


def describe_input(model: onnx.ModelProto) -> str:
    """Return a phrase with the inputs of a graph and the expected input."""
    given = {tensor.name for tensor in model.graph.initializer}
    values = [value for value in model.graph.input if value.name not in given]
    found = ", ".join(_describe(value) for value in values[:2]) or "nothing"
    more = f" and {len(values) - 2} more" if len(values) > 2 else ""
    return f"it takes {found}{more}, where {EXPECTED_INPUT}, is expected"


def _describe(value: onnx.ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    try:
        kind = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
    except ValueError:
        kind = f"type {tensor.elem_type}"
    kind = {"float": "float32", "double": "float64"}.get(kind, kind)
    dims = [str(dim.dim_value) if dim.HasField("dim_value") else "?" for dim in tensor.shape.dim[:6]]
    return f"{short_repr(value.name)} of {kind}, {'×'.join(dims) or 'of no shape'}"


def _has_subgraphs(model: onnx.ModelProto) -> bool:
    return any(
        attribute.HasField("g") or attribute.graphs
        for node in model.graph.node
        for attribute in node.attribute
    )


def _tensors(message: Message) -> Iterator[onnx.TensorProto]:
    """Yield the tensors inside a message, at any depth."""
    if isinstance(message, onnx.TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if isinstance(value, Message) else value:
                yield from _tensors(part)
