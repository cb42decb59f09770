"""Split convolutions of features and image in two, so that the image's part can stay in floats."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ...calibration.layers import image_tensors

_IMAGE, _SUM = ".image", ".add"  # suffixes of the nodes of a split convolution


def split_image_convolutions(bare: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph with each convolution of (features, image) as the sum of one of each.

    The features' convolution keeps the name and the bias; the image's is `NAME.image`. The result is the
    same.
    """
    images = image_tensors(bare)
    concats = {n.output[0]: n for n in bare.graph.node if n.op_type == "Concat" and len(n.input) == 2}
    model = onnx.ModelProto()
    model.CopyFrom(bare)
    graph = model.graph
    del graph.node[:]
    constants = {tensor.name: tensor for tensor in graph.initializer}
    used_whole = {name for n in bare.graph.node if n.op_type != "Conv" for name in n.input}
    split: set[str] = set()
    for node in bare.graph.node:
        concat = concats.get(node.input[0]) if node.op_type == "Conv" else None
        if concat is None or concat.input[1] not in images or concat.input[0] in images:
            graph.node.add().CopyFrom(node)
            continue
        split.add(concat.output[0])
        weights = numpy_helper.to_array(constants[node.input[1]])
        features = weights.shape[1] - _channels(bare, concat.input[1])
        constants[node.input[1]].CopyFrom(_tensor(weights[:, :features], node.input[1]))
        graph.initializer.append(_tensor(weights[:, features:], node.input[1] + _IMAGE))
        for part, inputs in (
            ("features", [concat.input[0], *node.input[1:]]),
            ("image", [concat.input[1], node.input[1] + _IMAGE]),
        ):
            conv = graph.node.add()
            conv.CopyFrom(node)
            del conv.input[:], conv.output[:]
            conv.name = node.name if part == "features" else node.name + _IMAGE
            conv.input.extend(inputs)
            conv.output.append(f"{node.output[0]}.{part}")
        parts = [f"{node.output[0]}.features", f"{node.output[0]}.image"]
        graph.node.append(helper.make_node("Add", parts, list(node.output), name=node.name + _SUM))
    for node in [n for n in graph.node if n.output[0] in split and n.output[0] not in used_whole]:
        graph.node.remove(node)
    return model


def split_names(names: Collection[str], split: onnx.ModelProto) -> set[str]:
    """Return the nodes of a split graph that replace these nodes of the original one."""
    parts = {name + suffix for name in names for suffix in ("", _IMAGE, _SUM)}
    return parts & {node.name for node in split.graph.node}


def _channels(bare: onnx.ModelProto, tensor: str) -> int:
    """Return the number of channels of an image tensor."""
    graph_input = bare.graph.input[0]
    if tensor == graph_input.name:
        return graph_input.type.tensor_type.shape.dim[1].dim_value
    maker = next(node for node in bare.graph.node if node.output[0] == tensor)
    weights = next(t for t in bare.graph.initializer if t.name == maker.input[1])
    return weights.dims[0]


def _tensor(values: np.ndarray, name: str) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(values), name)
