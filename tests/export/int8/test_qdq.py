from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
from n2b.calibration.ranges import Ranges, measure_ranges
from n2b.calibration.sensitivity import mean_errors
from n2b.calibration.session import open_session, run_session
from n2b.export.int8.qdq import quantize_for_cpu, quantize_for_tensorrt, shift_bias
from n2b.runtime.images.metrics import psnr
from onnx import TensorProto, numpy_helper

LAYERS = ["down", "up", "top"]


@pytest.fixture
def ranges(small: onnx.ModelProto, batches: list[np.ndarray]) -> Ranges:
    return measure_ranges(small, batches, method="minmax")


def results(model: onnx.ModelProto, batches: list[np.ndarray]) -> np.ndarray:
    onnx.checker.check_model(model, full_check=True)
    session = open_session(model.SerializeToString(), "quantized")
    return np.concatenate([run_session(session, batch) for batch in batches])


@pytest.mark.parametrize("quantize", [quantize_for_tensorrt, quantize_for_cpu])
def test_the_result_is_nearly_that_in_floats(
    small: onnx.ModelProto, ranges: Ranges, batches: list[np.ndarray], quantize: object
) -> None:
    exact = results(small, batches)
    rounded = results(quantize(small, ranges, LAYERS), batches)  # type: ignore[operator]
    assert 30 < psnr(rounded, exact, data_range=float(np.ptp(exact))) < 70
    assert np.array_equal(results(quantize(small, ranges, []), batches), exact)  # type: ignore[operator]


def test_for_tensorrt_pairs_stand_before_convolutions_and_on_weights_only(
    small: onnx.ModelProto, ranges: Ranges
) -> None:
    model = quantize_for_tensorrt(small, ranges, LAYERS)
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
    small: onnx.ModelProto, ranges: Ranges
) -> None:
    model = quantize_for_tensorrt(small, ranges, LAYERS)
    tensors = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    assert not any(values.any() for name, values in tensors.items() if name.endswith(".zero"))
    low, high = ranges["concat"]
    assert tensors["concat.scale"] == pytest.approx(max(-low, high) / 127)
    weights = numpy_helper.to_array(next(t for t in small.graph.initializer if t.name == "up.weight"))
    assert tensors["up.weight"].dtype == np.int8
    assert tensors["up.weight.scale"] == pytest.approx(np.abs(weights).max(axis=(1, 2, 3)) / 127, rel=1e-6)
    restored = tensors["up.weight"] * tensors["up.weight.scale"][:, None, None, None]
    assert np.abs(restored - weights).max() <= tensors["up.weight.scale"].max() / 2 * 1.001


def test_in_fp16_the_scales_are_fp16_too(small: onnx.ModelProto, ranges: Ranges) -> None:
    for tensor in small.graph.initializer:
        if tensor.name != "scales":
            values = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    for value in (*small.graph.input, *small.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    model = quantize_for_tensorrt(small, ranges, LAYERS)
    onnx.checker.check_model(model, full_check=True)
    floats = {t.data_type for t in model.graph.initializer if t.name.endswith(".scale")}
    assert floats == {TensorProto.FLOAT16}


def test_for_cpus_values_stay_in_8_bits_from_one_convolution_to_the_next(
    small: onnx.ModelProto, ranges: Ranges
) -> None:
    model = quantize_for_cpu(small, ranges, LAYERS)
    quantized = {node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    assert quantized == {"pool", "down", "down.act", "resize", "input", "concat", "up", "up.act", "top"}
    biases = {t.name for t in model.graph.initializer if t.data_type == TensorProto.INT32}
    assert {"down.bias", "up.bias", "top.bias"} <= biases
    zeros = [t for t in model.graph.initializer if t.name == "up.zero"]
    assert zeros[0].data_type == TensorProto.UINT8


def test_a_shift_of_the_mean_is_measured_and_taken_back(
    small: onnx.ModelProto, batches: list[np.ndarray]
) -> None:
    shifted = onnx.ModelProto()
    shifted.CopyFrom(small)
    bias = next(t for t in shifted.graph.initializer if t.name == "last.bias")
    by = np.array([0.1, 0, -0.2], np.float32)
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + by, bias.name))
    none, error = mean_errors(small, [small, shifted], "last", batches)
    assert none == pytest.approx(np.zeros(3))
    assert error == pytest.approx(by, abs=1e-5)
    (rest,) = mean_errors(small, [shift_bias(shifted, "last", -error)], "last", batches)
    assert rest == pytest.approx(np.zeros(3), abs=1e-5)


def test_a_convolution_without_bias_gets_one(small: onnx.ModelProto, batches: list[np.ndarray]) -> None:
    last = next(node for node in small.graph.node if node.name == "last")
    del last.input[2]
    by = np.array([0.1, 0, -0.2], np.float32)
    shifted = shift_bias(small, "last", by)
    onnx.checker.check_model(shifted, full_check=True)
    assert mean_errors(small, [shifted], "last", batches)[0] == pytest.approx(by, abs=1e-5)
