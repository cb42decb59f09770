"""Biases that take back what rounding does to the mean of a result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import onnx
from onnx import numpy_helper

from .session import open_session, run_session, with_outputs


def mean_errors(
    bare: onnx.ModelProto, quantized: Sequence[onnx.ModelProto], layer: str, batches: Iterable[np.ndarray]
) -> list[np.ndarray]:
    """How far the mean of a layer's result is off in each quantised graph, (channels,) each.

    Args:
        bare: the graph in floats.
        quantized: the same in INT8, FP32 for the rest.
        layer: a convolution of all of them.
        batches: inputs, float32 N×C×H×W, at least one.
    """
    result = next(node.output[0] for node in bare.graph.node if node.name == layer)
    name = f"the network up to {layer}"
    sessions = [open_session(with_outputs(model, [result]), name) for model in (bare, *quantized)]
    errors = []
    for batch in batches:
        exact, *rounded = (run_session(session, batch) for session in sessions)
        errors.append([(values - exact).mean(axis=(0, 2, 3)) for values in rounded])
    return list(np.mean(errors, axis=0))


def shift_bias(model: onnx.ModelProto, layer: str, by: np.ndarray) -> onnx.ModelProto:
    """The graph with `by`, (channels,), added to the bias of a convolution in floats, or as its bias."""
    shifted = onnx.ModelProto()
    shifted.CopyFrom(model)
    conv = next(node for node in shifted.graph.node if node.name == layer)
    tensors = {tensor.name: tensor for tensor in shifted.graph.initializer}
    if len(conv.input) == 2:
        weights = numpy_helper.to_array(tensors[conv.input[1]])
        conv.input.append(f"{layer}.shift")
        zero = numpy_helper.from_array(np.zeros(len(weights), weights.dtype), conv.input[2])
        shifted.graph.initializer.append(zero)
        tensors[zero.name] = shifted.graph.initializer[-1]
    bias = tensors[conv.input[2]]
    values = numpy_helper.to_array(bias)
    bias.CopyFrom(numpy_helper.from_array((values + by).astype(values.dtype), bias.name))
    return shifted
