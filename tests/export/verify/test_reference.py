from __future__ import annotations

import numpy as np
import onnx
import pytest
from n2b.export.verify.reference import OnnxReference, TorchReference
from n2b.runtime.errors import ModelError
from n2b.training.models.noise2blur import DnNet
from torch import nn

BATCH = np.random.default_rng(0).random((1, 3, 32, 64), np.float32)


def test_torch_and_onnx_agree_layer_by_layer(network: DnNet, bare: onnx.ModelProto) -> None:
    torch_reference, onnx_reference = TorchReference(network), OnnxReference(bare, "bare")
    np.testing.assert_allclose(torch_reference.run(BATCH), onnx_reference.run(BATCH), atol=1e-5)
    expected, found = dict(torch_reference.layers(BATCH)), dict(onnx_reference.layers(BATCH))
    assert list(expected) == [name for name, m in network.named_modules() if isinstance(m, nn.Conv2d)]
    for name, result in expected.items():
        assert name == "last" or result.min() < -0.1, f"{name} shows what its activation made of it"
        np.testing.assert_allclose(found[name], result, atol=1e-5)


def test_looking_at_layers_leaves_the_network_as_it_was(network: DnNet) -> None:
    reference = TorchReference(network)
    before = reference.run(BATCH)
    list(reference.layers(BATCH))
    assert not any(module._forward_hooks for module in network.modules())
    np.testing.assert_array_equal(reference.run(BATCH), before)


def test_a_graph_that_cannot_run_is_refused_at_once(bare: onnx.ModelProto) -> None:
    bare.graph.node[5].attribute[0].name = "nonsense"
    with pytest.raises(ModelError, match=r"ONNX Runtime cannot run model\.onnx"):
        OnnxReference(bare, "model.onnx")
