from __future__ import annotations

import numpy as np
import onnx
import pytest
from n2b.export.verify.divergence import describe_divergence, first_divergence
from n2b.export.verify.reference import OnnxReference, TorchReference
from n2b.training.models.noise2blur import DnNet
from onnx import numpy_helper

from ..conftest import change_weight, clone

ONES = np.ones((1, 2, 4, 4), np.float32)


def test_the_first_layer_beyond_the_limit_is_found() -> None:
    expected = [("a", ONES), ("b", ONES), ("c", ONES)]
    results = {"a": ONES * 1.001, "b": ONES * 1.2, "c": ONES * 2}
    assert first_divergence(expected, results, limit=0.01) == ("b", pytest.approx(0.2, rel=1e-4))
    assert first_divergence(expected, results, limit=1e-4) == ("a", pytest.approx(0.001, rel=1e-3))
    assert first_divergence(expected, results, limit=2) is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_diverges(value: float) -> None:
    broken = ONES.copy()
    broken[0, 0, 0, 0] = value
    assert first_divergence([("a", ONES)], {"a": broken}, limit=0.1) == ("a", np.inf)


def test_layers_that_one_side_does_not_know_are_passed_over() -> None:
    assert first_divergence([("only here", ONES)], {"only there": ONES * 5}, limit=0.1) is None


def test_a_layer_of_zeros_can_agree_and_diverge() -> None:
    assert first_divergence([("a", ONES * 0)], {"a": ONES * 0}, limit=0.1) is None
    assert first_divergence([("a", ONES * 0)], {"a": ONES}, limit=0.1) is not None


@pytest.mark.parametrize("layer", ["first", "down.4", "up.2.1", "last"])
def test_a_damaged_layer_is_named(bare: onnx.ModelProto, network: DnNet, layer: str) -> None:
    batch = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)
    references = [TorchReference(network), OnnxReference(bare, "bare")]
    damaged = clone(bare)
    change_weight(damaged, f"{layer}.weight", 1.01)
    for reference in references:
        assert f"first diverges in layer '{layer}'" in describe_divergence(damaged, "fp32", reference, batch)
        assert "no layer by itself diverges" in describe_divergence(bare, "fp32", reference, batch)


def test_a_damaged_layer_without_weights_is_named(bare: onnx.ModelProto) -> None:
    batch = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)
    reference = OnnxReference(clone(bare), "bare")
    node = next(node for node in bare.graph.node if node.name == "up.0.1.leaky_relu")
    node.attribute[0].f = 0.2
    assert "layer 'up.0.1.leaky_relu'" in describe_divergence(bare, "fp32", reference, batch)


def test_a_shuffled_weight_is_found_though_its_values_are_the_same(
    bare: onnx.ModelProto, network: DnNet
) -> None:
    tensor = next(t for t in bare.graph.initializer if t.name == "down.2.weight")
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor)[::-1].copy(), tensor.name))
    batch = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)
    assert "layer 'down.2'" in describe_divergence(bare, "fp32", TorchReference(network), batch)
