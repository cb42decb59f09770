from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from n2b.calibration.session import open_session, run_session
from n2b.export.onnx.from_torch import NETWORK_INPUT, NETWORK_OUTPUT, network_to_onnx, tidy_graph
from n2b.runtime.errors import EnvironmentFault
from n2b.training.models.noise2blur import DnNet
from onnx import TensorProto, helper, numpy_helper
from torch import nn


def test_graph_computes_what_the_network_computes_at_every_size(
    bare: onnx.ModelProto, network: DnNet
) -> None:
    session = open_session(bare.SerializeToString(), "bare")
    for shape in ((1, 3, 64, 96), (2, 3, 32, 32), (1, 3, 160, 64)):
        batch = np.random.default_rng(0).random(shape, np.float32)
        with torch.no_grad():
            expected = network(torch.from_numpy(batch)).numpy()
        np.testing.assert_allclose(run_session(session, batch), expected, atol=1e-5)


def test_graph_is_small_and_named_after_the_layers(bare: onnx.ModelProto, network: DnNet) -> None:
    layers = [name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)]
    assert [node.name for node in bare.graph.node if node.op_type == "Conv"] == layers
    kinds = Counter(node.op_type for node in bare.graph.node)
    assert kinds == {"Conv": 18, "LeakyRelu": 17, "MaxPool": 5, "Resize": 5, "Concat": 5}
    names = [node.name for node in bare.graph.node]
    assert len(set(names)) == len(names)
    assert {"down.0.max_pool", "down.5.resize", "down.5.concat"} <= set(names)
    parameters = {name for name, _ in network.named_parameters()}
    assert parameters < {tensor.name for tensor in bare.graph.initializer}


def test_graph_holds_nothing_of_the_machine_that_exported_it(bare: onnx.ModelProto) -> None:
    data = bare.SerializeToString()
    for word in (b"torch", b".py", b"stack"):
        assert word not in data
    assert not bare.metadata_props


def test_sizes_are_open_and_the_format_is_the_oldest_that_serves(bare: onnx.ModelProto) -> None:
    for value, name in ((bare.graph.input[0], NETWORK_INPUT), (bare.graph.output[0], NETWORK_OUTPUT)):
        dims = value.type.tensor_type.shape.dim
        assert value.name == name
        assert [dim.dim_param or dim.dim_value for dim in dims] == ["batch", 3, "height", "width"]
    assert bare.opset_import[0].version == 18
    assert bare.ir_version == 8


def test_export_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    network_to_onnx(nn.Conv2d(3, 3, 3, padding=1).eval(), size_multiple_px=1)
    assert capfd.readouterr() == ("", "")


def test_a_network_that_cannot_be_traced_is_refused_in_words() -> None:
    class Branching(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(EnvironmentFault, match=r"torch .* cannot export this network"):
        network_to_onnx(Branching(), size_multiple_px=1)


def test_a_size_that_is_baked_in_is_refused() -> None:
    sizes = numpy_helper.from_array(np.array([1, 3, 8, 8]), "sizes")
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], name="resize", mode="nearest")
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, None, None]) for name in "xy"]
    model = helper.make_model(helper.make_graph([node], "g", values[:1], values[1:], [sizes]))
    with pytest.raises(EnvironmentFault, match="node resize has its size baked in"):
        tidy_graph(model)


def test_constants_in_nodes_become_initializers() -> None:
    half = helper.make_node(
        "Constant", [], ["half"], value=numpy_helper.from_array(np.array([0.5], np.float32))
    )
    nodes = [half, helper.make_node("Mul", [NETWORK_INPUT, "half"], [NETWORK_OUTPUT], name="n1")]
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 8])
        for name in (NETWORK_INPUT, NETWORK_OUTPUT)
    ]
    tidy = tidy_graph(helper.make_model(helper.make_graph(nodes, "g", values[:1], values[1:])))
    assert [node.name for node in tidy.graph.node] == ["input.mul"]
    assert [tensor.name for tensor in tidy.graph.initializer] == ["input.mul.constant_1"]
    batch = np.ones((2, 3, 4, 4), np.float32)
    np.testing.assert_array_equal(
        run_session(open_session(tidy.SerializeToString(), "tidy"), batch), batch / 2
    )
