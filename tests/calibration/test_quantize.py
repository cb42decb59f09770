from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
from n2b.calibration.quantize import convolutions, quantize_for_cpu, quantize_for_tensorrt
from n2b.calibration.ranges import Ranges, measure_ranges
from n2b.calibration.session import open_session, run_session
from n2b.runtime.images.metrics import psnr
from onnx import TensorProto, numpy_helper

LAYERS = ["down", "up", "top"]


@pytest.fixture
def ranges(bare: onnx.ModelProto, batches: list[np.ndarray]) -> Ranges:
    return measure_ranges(bare, batches, method="minmax")


def results(model: onnx.ModelProto, batches: list[np.ndarray]) -> np.ndarray:
    onnx.checker.check_model(model, full_check=True)
    session = open_session(model.SerializeToString(), "quantised")
    return np.concatenate([run_session(session, batch) for batch in batches])


@pytest.mark.parametrize("quantize", [quantize_for_tensorrt, quantize_for_cpu])
def test_the_result_is_nearly_that_in_floats(
    bare: onnx.ModelProto, ranges: Ranges, batches: list[np.ndarray], quantize: object
) -> None:
    exact = results(bare, batches)
    rounded = results(quantize(bare, ranges, LAYERS), batches)  # type: ignore[operator]
    assert 30 < psnr(rounded, exact, data_range=float(np.ptp(exact))) < 70
    assert np.array_equal(results(quantize(bare, ranges, []), batches), exact)  # type: ignore[operator]


def test_for_tensorrt_pairs_stand_before_convolutions_and_on_weights_only(
    bare: onnx.ModelProto, ranges: Ranges
) -> None:
    model = quantize_for_tensorrt(bare, ranges, LAYERS)
    operators = Counter(node.op_type for node in model.graph.node)
    assert operators["QuantizeLinear"] == 3  # of pool, concat and up.act
    assert operators["DequantizeLinear"] == 6  # and of three weights
    consumers = {name: node for node in model.graph.node for name in node.input}
    makers = {node.output[0]: node for node in model.graph.node}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear":
            assert consumers[node.output[0]].name in LAYERS
        if node.name in LAYERS:
            assert all(makers[name].op_type == "DequantizeLinear" for name in node.input[:2])
            assert node.input[2].endswith(".bias")


def test_for_tensorrt_all_is_symmetric_with_a_scale_for_each_output_channel(
    bare: onnx.ModelProto, ranges: Ranges
) -> None:
    model = quantize_for_tensorrt(bare, ranges, LAYERS)
    tensors = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    assert not any(values.any() for name, values in tensors.items() if name.endswith(".zero"))
    low, high = ranges["concat"]
    assert tensors["concat.scale"] == pytest.approx(max(-low, high) / 127)
    weights = numpy_helper.to_array(next(t for t in bare.graph.initializer if t.name == "up.weight"))
    assert tensors["up.weight"].dtype == np.int8
    assert tensors["up.weight.scale"] == pytest.approx(np.abs(weights).max(axis=(1, 2, 3)) / 127, rel=1e-6)
    restored = tensors["up.weight"] * tensors["up.weight.scale"][:, None, None, None]
    assert np.abs(restored - weights).max() <= tensors["up.weight.scale"].max() / 2 * 1.001


def test_in_fp16_the_scales_are_fp16_too(bare: onnx.ModelProto, ranges: Ranges) -> None:
    for tensor in bare.graph.initializer:
        if tensor.name != "scales":
            values = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    for value in (*bare.graph.input, *bare.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    model = quantize_for_tensorrt(bare, ranges, LAYERS)
    onnx.checker.check_model(model, full_check=True)
    floats = {t.data_type for t in model.graph.initializer if t.name.endswith(".scale")}
    assert floats == {TensorProto.FLOAT16}


def test_for_cpus_values_stay_in_8_bits_from_one_convolution_to_the_next(
    bare: onnx.ModelProto, ranges: Ranges
) -> None:
    model = quantize_for_cpu(bare, ranges, LAYERS)
    quantized = {node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    assert quantized == {"pool", "down", "down.act", "resize", "input", "concat", "up", "up.act", "top"}
    biases = {t.name for t in model.graph.initializer if t.data_type == TensorProto.INT32}
    assert {"down.bias", "up.bias", "top.bias"} <= biases
    zeros = [t for t in model.graph.initializer if t.name == "up.zero"]
    assert zeros[0].data_type == TensorProto.UINT8


def test_convolutions_are_named_in_their_order(bare: onnx.ModelProto) -> None:
    assert convolutions(bare) == ["first", "down", "up", "top", "last"]
