from __future__ import annotations

import copy
import warnings

import numpy as np
import onnx
import pytest
import torch
from n2b.calibration.session import open_session, run_session
from n2b.export.onnx.float16 import to_fp16
from n2b.export.onnx.from_torch import NETWORK_INPUT
from n2b.export.verify.node_by_node import run_node_by_node
from n2b.runtime.errors import ModelError
from n2b.training.models.noise2blur import DnNet
from onnx import TensorProto, numpy_helper

from ..conftest import change_weight


@pytest.fixture(scope="module")
def half_exported(network: DnNet) -> onnx.ModelProto:
    """The other way to FP16: torch's export of the halved network."""
    example = torch.zeros(1, 3, 64, 96, dtype=torch.float16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            copy.deepcopy(network).half(), (example,), dynamo=True, opset_version=18, verbose=False
        )
    assert program is not None
    return program.model_proto


def weights(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    return {name: array for name, array in arrays.items() if name.endswith((".weight", ".bias"))}


def test_it_is_what_exporting_the_halved_network_gives(
    bare: onnx.ModelProto, half_exported: onnx.ModelProto
) -> None:
    converted = to_fp16(bare)
    ours, theirs = weights(converted), weights(half_exported)
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        assert values.dtype == np.float16
        np.testing.assert_array_equal(values, theirs[name])
    batch = np.random.default_rng(0).random((1, 3, 64, 96)).astype(np.float16)
    our_result, their_result = (
        run_session(open_session(model.SerializeToString(), "model"), batch)
        for model in (converted, half_exported)
    )
    np.testing.assert_array_equal(our_result, their_result)


def test_every_activation_is_fp16(bare: onnx.ModelProto) -> None:
    batch = np.random.default_rng(0).random((1, 3, 32, 32)).astype(np.float16)
    for name, result in run_node_by_node(to_fp16(bare), {NETWORK_INPUT: batch}):
        assert result.dtype == np.float16, name


def test_what_onnx_defines_as_float32_stays(bare: onnx.ModelProto) -> None:
    model = to_fp16(bare)
    scales = {node.input[2] for node in model.graph.node if node.op_type == "Resize"}
    kept = {t.name for t in model.graph.initializer if t.data_type == TensorProto.FLOAT}
    assert kept == scales


def test_the_fp32_graph_is_left_as_it_was(bare: onnx.ModelProto) -> None:
    before = bare.SerializeToString(deterministic=True)
    to_fp16(bare)
    assert bare.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("factor", [1e7, np.inf, np.nan])
def test_a_weight_beyond_the_range_is_named(bare: onnx.ModelProto, factor: float) -> None:
    change_weight(bare, "down.3.weight", factor)
    with pytest.raises(ModelError, match=r"'down\.3\.weight' holds .* FP16 ends at 65504"):
        to_fp16(bare)


def test_a_weight_that_would_become_zero_is_named(bare: onnx.ModelProto) -> None:
    change_weight(bare, "up.1.0.weight", 1e-9)
    with pytest.raises(ModelError, match=r"'up\.1\.0\.weight' .* rounds to 0"):
        to_fp16(bare)


def test_a_bias_may_vanish(bare: onnx.ModelProto) -> None:
    change_weight(bare, "up.1.0.bias", 1e-9)
    assert not weights(to_fp16(bare))["up.1.0.bias"].any()


def test_fp16_is_not_halved_again(bare: onnx.ModelProto) -> None:
    with pytest.raises(ModelError, match="only an FP32 model"):
        to_fp16(to_fp16(bare))
