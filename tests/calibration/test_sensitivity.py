from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
import pytest
from n2b.calibration.ranges import measure_ranges
from n2b.calibration.sensitivity import LayerLoss, Trial, choose_layers, measure_layers
from n2b.calibration.session import open_session, run_session
from n2b.export.int8.qdq import quantize_for_tensorrt


@pytest.fixture
def trial(bare: onnx.ModelProto, batches: list[np.ndarray]) -> Trial:
    inputs = np.concatenate(batches)
    session = open_session(bare.SerializeToString(), "bare")
    noise = 0.02 * np.random.default_rng(9).standard_normal((4, 32, 32, 3)).astype(np.float32)
    return Trial(
        inputs, run_session(session, inputs).transpose(0, 2, 3, 1) + noise, lambda x: x.transpose(0, 2, 3, 1)
    )


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
