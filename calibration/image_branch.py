"""Where a network looks at the image itself: there 8 bits are too few, and floats cost next to nothing.

Symmetric INT8 tells 127 grey levels apart in an image: a weak noise is less than that. The U-Nets see the
image twice, at the first convolution, and beside the features at the last but two.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper


def image_tensors(bare: onnx.ModelProto) -> set[str]:
    """The graph's input, and what a convolution without bias makes of it: a mere unshuffling of pixels."""
    found = {bare.graph.input[0].name}
    for node in bare.graph.node:
        if node.op_type == "Conv" and node.input[0] in found and len(node.input) == 2:
            found.add(node.output[0])
    return found


def image_layers(bare: onnx.ModelProto) -> set[str]:
    """The convolutions of the image itself."""
    images = image_tensors(bare)
    return {node.name for node in bare.graph.node if node.op_type == "Conv" and node.input[0] in images}


def split_image_convolutions(bare: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with each convolution of (features, image) as the sum of one of each.

    The one of the features keeps the name and the bias; that of the image is `NAME.image`. What is computed
    is the same.
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
        graph.initializer.append(_tensor(weights[:, features:], f"{node.input[1]}.image"))
        for part, inputs in (
            ("features", [concat.input[0], *node.input[1:]]),
            ("image", [concat.input[1], f"{node.input[1]}.image"]),
        ):
            conv = graph.node.add()
            conv.CopyFrom(node)
            del conv.input[:], conv.output[:]
            conv.name = node.name if part == "features" else f"{node.name}.image"
            conv.input.extend(inputs)
            conv.output.append(f"{node.output[0]}.{part}")
        parts = [f"{node.output[0]}.features", f"{node.output[0]}.image"]
        graph.node.append(helper.make_node("Add", parts, list(node.output), name=f"{node.name}.add"))
    for node in [n for n in graph.node if n.output[0] in split and n.output[0] not in used_whole]:
        graph.node.remove(node)
    return model


def _channels(bare: onnx.ModelProto, tensor: str) -> int:
    """Of an image tensor."""
    graph_input = bare.graph.input[0]
    if tensor == graph_input.name:
        return graph_input.type.tensor_type.shape.dim[1].dim_value
    maker = next(node for node in bare.graph.node if node.output[0] == tensor)
    weights = next(t for t in bare.graph.initializer if t.name == maker.input[1])
    return weights.dims[0]


def _tensor(values: np.ndarray, name: str) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(values), name)
