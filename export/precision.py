"""A bare FP32 graph → the same graph in FP16, without torch.

Weights and activations become FP16; what ONNX defines as float32 (the scales of a Resize) stays. The graph
is then what exporting `network.half()` gives: strongly typed, with the precision in the file itself.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from ..runtime.errors import ModelError
from .onnx_file import check
from .opset import opset_of

LARGEST = float(np.finfo(np.float16).max)  # 65504


def to_fp16(bare: onnx.ModelProto) -> onnx.ModelProto:
    """The same network computing in FP16, with float16 input and output.

    Raises:
        ModelError: the graph is not FP32, or a weight cannot be held in FP16; the message names it.
    """
    if bare.graph.input[0].type.tensor_type.elem_type != TensorProto.FLOAT:
        raise ModelError("only an FP32 model can be made FP16; name the FP32 file")
    model = onnx.ModelProto()
    model.CopyFrom(bare)
    graph = model.graph
    del graph.value_info[:]  # types that were inferred, and no longer hold
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    for node in graph.node:
        if node.op_type == "Cast":
            _retarget(node)
    kept = _names_that_stay_fp32(bare)
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and tensor.name not in kept:
            tensor.CopyFrom(_halved(tensor))
    check(model, "the FP16 graph")
    return model


def _names_that_stay_fp32(bare: onnx.ModelProto) -> set[str]:
    """The tensors that stand where ONNX does not allow float16."""
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
