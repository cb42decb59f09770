"""Find the convolutions of a network, and those that see the image or make the result.

Those stay in floats. Symmetric INT8 resolves 127 grey levels in an image, which is coarser than weak noise;
the U-Nets read the image twice, in the first convolution and, next to the features, in the last but two. In
the result, 8 bits would show as bands in a clear sky.
"""

from __future__ import annotations

import onnx


def convolutions(bare: onnx.ModelProto) -> list[str]:
    """Return the names of all convolutions in graph order."""
    return [node.name for node in bare.graph.node if node.op_type == "Conv"]


def image_tensors(bare: onnx.ModelProto) -> set[str]:
    """Return the graph's input and what convolutions without bias make of it (pixel unshuffling)."""
    images = {bare.graph.input[0].name}
    for node in bare.graph.node:
        if node.op_type == "Conv" and node.input[0] in images and len(node.input) == 2:
            images.add(node.output[0])
    return images


def image_layers(bare: onnx.ModelProto) -> set[str]:
    """Return the names of the convolutions that take the image itself."""
    images = image_tensors(bare)
    return {node.name for node in bare.graph.node if node.op_type == "Conv" and node.input[0] in images}


def result_layers(bare: onnx.ModelProto) -> set[str]:
    """Return the names of the convolutions that make the result, with no other convolution after them."""
    makers = {node.output[0]: node for node in bare.graph.node}
    layers, pending = set(), [bare.graph.output[0].name]
    while pending:
        node = makers.get(pending.pop())
        if node is None:
            continue
        if node.op_type == "Conv":
            layers.add(node.name)
        else:
            pending += node.input
    return layers


def last_layer(bare: onnx.ModelProto) -> str:
    """Return the convolution that makes the result; of several, one with a bias if there is one."""
    names = result_layers(bare)
    return max((node for node in bare.graph.node if node.name in names), key=lambda n: len(n.input)).name
