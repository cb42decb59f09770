"""Insert QuantizeLinear/DequantizeLinear pairs (Q/DQ) into a float graph, for TensorRT or for CPUs.

TensorRT fuses a convolution with what follows it, and needs pairs before convolutions and on their weights
only. ONNX Runtime on a CPU computes in 8 bits between pairs, and needs them on every tensor in between to be
faster than in floats. Neither is fast with the other's placement, so there are two files.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ...calibration.ranges import SAME_RANGE, Ranges, range_of
from ...runtime.errors import ModelError

OPSET = 19  # the first whose Q/DQ takes float16
_IN_8_BIT = (*SAME_RANGE, "Concat")  # pass 8-bit values on between convolutions
_ACTIVATIONS = ("LeakyRelu", "Relu")
_SYMMETRIC, _WEIGHTS = 127, 127


def quantize_for_tensorrt(bare: onnx.ModelProto, ranges: Ranges, layers: Collection[str]) -> onnx.ModelProto:
    """Return the graph with the named convolutions in INT8: symmetric, weights per output channel.

    Args:
        bare: in FP32 or FP16, of opset 19 or later; other nodes stay in that precision.
        ranges: of its FP32 form.

    Raises:
        ModelError: a range is missing.
    """
    writer = _Writer(bare)
    for original in bare.graph.node:
        node = writer.copy_of(original)
        if node.name in layers:
            low, high = range_of(bare, ranges, node.input[0])
            scale = max(-low, high, 1e-6) / _SYMMETRIC
            node.input[0] = writer.pair(node.input[0], scale, 0, np.int8)
            writer.quantize_weights(node)
        writer.add(node)
    return writer.model


def quantize_for_cpu(bare: onnx.ModelProto, ranges: Ranges, layers: Collection[str]) -> onnx.ModelProto:
    """Return the graph with the named convolutions, and nodes between them, in 8 bits for ONNX Runtime.

    Activations are uint8 with a zero point, weights int8 per output channel, biases int32.

    Args:
        bare: in FP32, of opset 19 or later.

    Raises:
        ModelError: a range is missing.
    """
    writer = _Writer(bare)
    inside = _nodes_in_8_bit(bare, layers)
    consumed = {node.input[i] for node in bare.graph.node if node.name in inside for i in _data_inputs(node)}
    outputs = {value.name for value in bare.graph.output}

    def parameters(tensor: str) -> tuple[float, int]:
        low, high = range_of(bare, ranges, tensor)
        scale = max(high - low, 1e-6) / 255
        return scale, int(np.clip(np.rint(-low / scale), 0, 255))

    in_8_bit: dict[str, str] = {}
    graph_input = bare.graph.input[0].name
    if graph_input in consumed:
        in_8_bit[graph_input] = writer.pair(graph_input, *parameters(graph_input), np.uint8)
    for original in bare.graph.node:
        node = writer.copy_of(original)
        for i in _data_inputs(node):
            node.input[i] = in_8_bit.get(node.input[i], node.input[i])
        if node.name in layers:
            writer.quantize_weights(node, input_scale=parameters(original.input[0])[0])
        writer.add(node)
        result = node.output[0]
        if result not in outputs and (result in consumed or node.name in inside):
            in_8_bit[result] = writer.pair(result, *parameters(result), np.uint8)
    return writer.model


def shift_bias(model: onnx.ModelProto, layer: str, by: np.ndarray) -> onnx.ModelProto:
    """Return the graph with `by`, (channels,), added to the bias of a float convolution, or as its bias."""
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


def _nodes_in_8_bit(bare: onnx.ModelProto, layers: Collection[str]) -> set[str]:
    """Return the named convolutions, and the nodes between two of them that can compute in 8 bits."""
    makers = {node.output[0]: node for node in bare.graph.node}
    behind = set(layers)
    for node in bare.graph.node:
        made_by = {makers[node.input[i]].name for i in _data_inputs(node) if node.input[i] in makers}
        if node.op_type in (*_ACTIVATIONS, *_IN_8_BIT) and made_by & behind:
            behind.add(node.name)
    inside, wanted = set(layers), set[str]()
    for node in reversed(bare.graph.node):
        if node.name in behind and (node.name in layers or node.output[0] in wanted):
            inside.add(node.name)
            wanted.update(node.input[i] for i in _data_inputs(node))
    return inside


def _data_inputs(node: onnx.NodeProto) -> range:
    """Return the positions of a node's inputs that are activations."""
    return range(len(node.input)) if node.op_type in ("Concat", "Add") else range(1)


class _Writer:
    """A copy of a graph without its nodes, to which nodes are added in order."""

    def __init__(self, bare: onnx.ModelProto) -> None:
        self.model = onnx.ModelProto()
        self.model.CopyFrom(bare)
        self._graph = self.model.graph
        del self._graph.node[:], self._graph.value_info[:]
        self._constants = {tensor.name: tensor for tensor in bare.graph.initializer}
        self._pairs: dict[str, str] = {}
        half = bare.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT16
        self._float: type[np.float16] | type[np.float32] = np.float16 if half else np.float32

    @staticmethod
    def copy_of(node: onnx.NodeProto) -> onnx.NodeProto:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        return copy

    def add(self, node: onnx.NodeProto) -> None:
        self._graph.node.append(node)

    def pair(self, tensor: str, scale: float, zero: int, dtype: type[np.integer]) -> str:
        """Add a Q/DQ pair on a tensor, once; return the name of its output."""
        if tensor not in self._pairs:
            constants = [f"{tensor}.scale", f"{tensor}.zero"]
            self._constant(constants[0], np.array(self._representable(np.array(scale)), self._float))
            self._constant(constants[1], np.array(zero, dtype))
            self._pairs[tensor] = f"{tensor}.dequantized"
            for operator, before, after in (
                ("QuantizeLinear", tensor, f"{tensor}.quantized"),
                ("DequantizeLinear", f"{tensor}.quantized", self._pairs[tensor]),
            ):
                self.add(helper.make_node(operator, [before, *constants], [after], name=after))
        return self._pairs[tensor]

    def quantize_weights(self, node: onnx.NodeProto, *, input_scale: float | None = None) -> None:
        """Store weights as int8 per output channel; with the input's scale also the bias, as int32."""
        weights = numpy_helper.to_array(self._constants[node.input[1]]).astype(np.float32)
        if not np.isfinite(weights).all():
            raise ModelError(f"the weights of '{node.name}' are not finite; this network cannot be INT8")
        largest = np.abs(weights).reshape(len(weights), -1).max(axis=1)
        scales = self._representable(np.where(largest > 0, largest, 1) / _WEIGHTS)
        levels = np.rint(weights / scales.reshape(-1, *[1] * (weights.ndim - 1)))
        node.input[1] = self._dequantized(
            node.input[1], np.clip(levels, -_WEIGHTS, _WEIGHTS).astype(np.int8), scales
        )
        if input_scale is not None and len(node.input) > 2:
            bias = numpy_helper.to_array(self._constants[node.input[2]]).astype(np.float64)
            bias_scales = (np.float32(input_scale) * scales).astype(np.float32)
            bias_levels = np.clip(np.rint(bias / bias_scales), -(2**31), 2**31 - 1)
            node.input[2] = self._dequantized(node.input[2], bias_levels.astype(np.int32), bias_scales)

    def _dequantized(self, name: str, levels: np.ndarray, scales: np.ndarray) -> str:
        """Store a constant as integers with a DequantizeLinear; return the name of its output."""
        result = f"{name}.dequantized"
        if result not in self._pairs.values():
            self._pairs[name] = result
            self._graph.initializer.remove(self._constants[name])
            self._constant(name, levels)
            self._constant(f"{name}.scale", scales.astype(self._float))
            zero = f"{name}.zero"
            self._constant(zero, np.zeros(len(scales), levels.dtype))
            inputs = [name, f"{name}.scale", zero]
            self.add(helper.make_node("DequantizeLinear", inputs, [result], name=result, axis=0))
        return result

    def _representable(self, scales: np.ndarray) -> np.ndarray:
        """Round scales to the graph's float type, none of them to 0."""
        least = np.float32(np.finfo(self._float).tiny)
        return np.maximum(scales.astype(np.float32), least).astype(self._float).astype(np.float32)

    def _constant(self, name: str, values: np.ndarray) -> None:
        self._graph.initializer.append(numpy_helper.from_array(values, name))
