"""Every architecture becomes a clean graph that computes what the network computes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from n2b.calibration.session import open_session, run_session
from n2b.export.onnx.float16 import to_fp16
from n2b.export.onnx.from_torch import network_to_onnx
from n2b.export.verify.reference import TorchReference
from n2b.export.verify.verify import verify_onnx
from n2b.training.models.collapsible import fold
from n2b.training.models.dncnn import DnCnn
from n2b.training.models.edge import EdgeNet
from torch import nn

from ..conftest import WriteModel

OPERATORS = {
    "edge": {
        "Conv": 17,
        "LeakyRelu": 14,
        "MaxPool": 4,
        "Resize": 4,
        "Concat": 4,
        "Add": 1,
        "DepthToSpace": 1,
    },
    "dncnn": {"Conv": 17, "Relu": 16, "Sub": 1},
}


@pytest.fixture(scope="module", params=OPERATORS)
def arch(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def network(arch: str) -> EdgeNet | DnCnn:
    """Random weights, and results about [0, 1] as a trained network's are."""
    torch.manual_seed(1)
    network = EdgeNet(down=8, up=16, top=16) if arch == "edge" else DnCnn(maps=8)
    fold(network)
    last = network.unet.last if isinstance(network, EdgeNet) else network.last
    with torch.no_grad():
        last.weight.mul_(0.2)
        assert last.bias is not None
        last.bias.fill_(0.5 if arch == "edge" else 0)
    return network.eval()


@pytest.fixture(scope="module")
def bare(network: EdgeNet | DnCnn) -> onnx.ModelProto:
    return network_to_onnx(network, size_multiple_px=network.size_multiple_px)


def test_the_graph_has_the_layers_of_the_network_and_no_more(
    arch: str, network: nn.Module, bare: onnx.ModelProto
) -> None:
    layers = Counter(name for name, module in network.named_modules() if isinstance(module, nn.Conv2d))
    assert Counter(node.name for node in bare.graph.node if node.op_type == "Conv") == layers
    assert Counter(node.op_type for node in bare.graph.node) == OPERATORS[arch]


def test_the_graph_computes_what_the_network_computes_at_every_size(
    network: EdgeNet | DnCnn, bare: onnx.ModelProto
) -> None:
    session, multiple = open_session(bare.SerializeToString(), "bare"), network.size_multiple_px
    for count, rows, columns in ((1, 1, 1), (2, 3, 1), (1, 2, 5)):
        batch = np.random.default_rng(0).random((count, 3, rows * multiple, columns * multiple), np.float32)
        with torch.no_grad():
            expected = network(torch.from_numpy(batch)).numpy()
        np.testing.assert_allclose(run_session(session, batch), expected, atol=1e-5)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("io", ["uint8", "float32"])
def test_files_of_both_precisions_agree_with_the_network(
    network: nn.Module, bare: onnx.ModelProto, write_model: WriteModel, io: str, dynamic: bool
) -> None:
    fp32 = verify_onnx(write_model(bare, io=io, dynamic=dynamic), TorchReference(network), source="run")
    assert fp32.largest_difference <= 1.0001 / 255
    fp16 = verify_onnx(
        write_model(to_fp16(bare), io=io, dynamic=dynamic), TorchReference(network), source="run"
    )
    assert fp16.psnr_db >= 50
