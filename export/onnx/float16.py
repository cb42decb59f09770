"""Convert a bare FP32 graph to FP16, without torch.

Weights and activations become FP16; what ONNX defines as float32 (the scales of a Resize) stays. The result
is that of exporting `network.half()`: strongly typed, with the precision in the file itself.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ...runtime.errors import ModelError
from .file import check
from .opset import opset_of

LARGEST = float(np.finfo(np.float16).max)  # 65504


def to_fp16(bare: onnx.ModelProto, *, fp32: Collection[str] = ()) -> onnx.ModelProto:
    """Return the same network in FP16, with float16 input and output; the nodes `fp32` stay, between Casts.

    Raises:
        ModelError: the graph is not FP32, or a weight cannot be held in FP16; the message names it.
    """
    if bare.graph.input[0].type.tensor_type.elem_type != TensorProto.FLOAT:
        raise ModelError("only an FP32 model can be made FP16; name the FP32 file")
    model = onnx.ModelProto()
    model.CopyFrom(bare)
    graph = model.graph
    del graph.value_info[:]  # inferred types, no longer valid
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    for node in graph.node:
        if node.op_type == "Cast":
            _retarget(node)
    kept = _names_that_stay_fp32(bare)
    kept |= {name for node in bare.graph.node if node.name in fp32 for name in node.input}
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and tensor.name not in kept:
            tensor.CopyFrom(_halved(tensor))
    _insert_casts(graph, fp32)
    check(model, "the FP16 graph")
    return model


def _insert_casts(graph: onnx.GraphProto, fp32: Collection[str]) -> None:
    """Insert Casts where a tensor goes from a node of one precision to one of the other."""
    constants = {tensor.name for tensor in graph.initializer}
    outputs = {value.name for value in graph.output}
    of_fp32 = {name for node in graph.node if node.name in fp32 for name in node.output}
    nodes, cast = list(graph.node), dict[tuple[str, bool], str]()
    del graph.node[:]

    def as_type(tensor: str, wants_fp32: bool) -> str:
        if not tensor or tensor in constants or (tensor in of_fp32) == wants_fp32:
            return tensor
        if (tensor, wants_fp32) not in cast:
            name = cast[tensor, wants_fp32] = f"{tensor}.to_{'fp32' if wants_fp32 else 'fp16'}"
            to = TensorProto.FLOAT if wants_fp32 else TensorProto.FLOAT16
            graph.node.append(helper.make_node("Cast", [tensor], [name], name=name, to=to))
        return cast[tensor, wants_fp32]

    for node in nodes:
        for i, tensor in enumerate(node.input):
            node.input[i] = as_type(tensor, node.name in fp32)
        result = node.output[0]
        if node.name in fp32 and result in outputs:
            node.output[0] = f"{result}.fp32"
            graph.node.append(node)
            graph.node.append(
                helper.make_node(
                    "Cast", [node.output[0]], [result], name=f"{result}.to_fp16", to=TensorProto.FLOAT16
                )
            )
        else:
            graph.node.append(node)


def _names_that_stay_fp32(bare: onnx.ModelProto) -> set[str]:
    """Return the inputs for which ONNX does not allow float16."""
    kept = set()
    for node in bare.graph.node:
        formal = onnx.defs.get_schema(node.op_type, opset_of(bare)).inputs
        for position, name in enumerate(node.input):
            types = formal[min(position, len(formal) - 1)].types  # the last one repeats in a Concat
            if "tensor(float16)" not in types:
                kept.add(name)
    return kept


def _halved(tensor: TensorProto) -> TensorProto:
    values = numpy_helper.to_array(tensor)
    largest = float(np.abs(values).max(initial=0))
    if not largest <= LARGEST:  # NaN too
        raise ModelError(
            f"weight '{tensor.name}' holds {largest:g}, and FP16 ends at {LARGEST:g}; export without --fp16"
        )
    halved = values.astype(np.float16)
    if values.ndim > 1 and largest > 0 and not halved.any():  # a bias may vanish
        raise ModelError(
            f"weight '{tensor.name}' is at most {largest:g}, which FP16 rounds to 0; export without --fp16"
        )
    return numpy_helper.from_array(halved, tensor.name)


def _retarget(node: onnx.NodeProto) -> None:
    for attribute in node.attribute:
        if attribute.name == "to" and attribute.i == TensorProto.FLOAT:
            attribute.i = TensorProto.FLOAT16
