from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
import pytest
from n2b.calibration.bias import mean_errors, shift_bias
from n2b.calibration.image_branch import image_layers, split_image_convolutions
from n2b.calibration.quantize import quantize_for_tensorrt
from n2b.calibration.ranges import measure_ranges
from n2b.calibration.sensitivity import LayerLoss, Trial, choose_layers, measure_layers, result_layers
from n2b.calibration.session import open_session, run_session
from onnx import numpy_helper


@pytest.fixture
def trial(bare: onnx.ModelProto, batches: list[np.ndarray]) -> Trial:
    inputs = np.concatenate(batches)
    session = open_session(bare.SerializeToString(), "bare")
    noise = 0.02 * np.random.default_rng(9).standard_normal((4, 32, 32, 3)).astype(np.float32)
    return Trial(
        inputs, run_session(session, inputs).transpose(0, 2, 3, 1) + noise, lambda x: x.transpose(0, 2, 3, 1)
    )


def test_the_layer_that_makes_the_result_and_those_of_the_image_are_known(bare: onnx.ModelProto) -> None:
    assert result_layers(bare) == {"last"}
    assert image_layers(bare) == {"first"}
    assert image_layers(split_image_convolutions(bare)) == {"first", "up.image"}


def test_a_split_network_computes_the_same(bare: onnx.ModelProto, batches: list[np.ndarray]) -> None:
    split = split_image_convolutions(bare)
    onnx.checker.check_model(split, full_check=True)
    assert "Concat" not in {node.op_type for node in split.graph.node}
    for batch in batches:
        exact, same = (
            run_session(open_session(model.SerializeToString(), "x"), batch) for model in (bare, split)
        )
        np.testing.assert_allclose(same, exact, atol=1e-5)


def test_a_layer_with_a_range_too_wide_costs_most(
    bare: onnx.ModelProto, batches: list[np.ndarray], trial: Trial
) -> None:
    ranges = measure_ranges(bare, batches, method="minmax")
    ranges["up.act"] = (-50.0, 50.0)

    def quantize(layers: Collection[str]) -> onnx.ModelProto:
        return quantize_for_tensorrt(bare, ranges, layers)

    float_db = trial.psnr_db(bare)
    losses = measure_layers(quantize, ["down", "up", "top"], trial, float_db)
    assert losses[0].layer == "top" and losses[0].loss_db > 1
    choice = choose_layers(quantize, losses, trial, float_db, allowed_db=losses[0].loss_db / 2)
    assert choice.kept[0] == "top" and "top" not in choice.layers
    assert choice.loss_db <= losses[0].loss_db / 2


def test_where_no_layer_will_do_all_stay_in_floats(bare: onnx.ModelProto, trial: Trial) -> None:
    broken = measure_ranges(bare, trial.inputs[:, None], method="minmax")
    broken = dict.fromkeys(broken, (-10000.0, 10000.0))
    losses = [LayerLoss("down", 2.0), LayerLoss("top", 1.0)]
    choice = choose_layers(
        lambda layers: quantize_for_tensorrt(bare, broken, layers), losses, trial, trial.psnr_db(bare)
    )
    assert choice.layers == () and choice.loss_db == 0
    assert choice.kept == ("down", "top")


def test_a_shift_of_the_mean_is_measured_and_taken_back(
    bare: onnx.ModelProto, batches: list[np.ndarray]
) -> None:
    shifted = onnx.ModelProto()
    shifted.CopyFrom(bare)
    bias = next(t for t in shifted.graph.initializer if t.name == "last.bias")
    by = np.array([0.1, 0, -0.2], np.float32)
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + by, bias.name))
    none, error = mean_errors(bare, [bare, shifted], "last", batches)
    assert none == pytest.approx(np.zeros(3))
    assert error == pytest.approx(by, abs=1e-5)
    (rest,) = mean_errors(bare, [shift_bias(shifted, "last", -error)], "last", batches)
    assert rest == pytest.approx(np.zeros(3), abs=1e-5)


def test_a_convolution_without_bias_gets_one(bare: onnx.ModelProto, batches: list[np.ndarray]) -> None:
    last = next(node for node in bare.graph.node if node.name == "last")
    del last.input[2]
    by = np.array([0.1, 0, -0.2], np.float32)
    shifted = shift_bias(bare, "last", by)
    onnx.checker.check_model(shifted, full_check=True)
    assert mean_errors(bare, [shifted], "last", batches)[0] == pytest.approx(by, abs=1e-5)
