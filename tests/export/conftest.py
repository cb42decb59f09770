"""A small network, and the files made of it. One export by torch serves all tests."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import onnx
import pytest
import torch
from n2b.export.onnx.file import to_bytes
from n2b.export.onnx.from_torch import network_to_onnx
from n2b.export.onnx.io_contract import add_contract
from n2b.runtime.model_info import ModelInfo
from n2b.runtime.system.tensorrt import FLAVOURS
from n2b.training.models.noise2blur import DnNet
from onnx import numpy_helper

WriteModel = Callable[..., Path]
Install = Callable[..., None]


@pytest.fixture(scope="session")
def network() -> DnNet:
    """A narrow U-Net with random weights whose results are about [0, 1], as a trained one's are."""
    torch.manual_seed(1)
    network = DnNet(down=8, up=16).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.05)
        network.last.weight.mul_(0.2)
        assert network.last.bias is not None
        network.last.bias.fill_(0.5)
    return network


@pytest.fixture(scope="session")
def exported(network: DnNet) -> onnx.ModelProto:
    """The bare graph of `network`; use `bare`, of which each test has its own."""
    return network_to_onnx(network, size_multiple_px=32)


@pytest.fixture
def bare(exported: onnx.ModelProto) -> onnx.ModelProto:
    return clone(exported)


@pytest.fixture
def info() -> ModelInfo:
    return ModelInfo("unet", size_multiple_px=32, receptive_radius_px=158, default_halo_px=16)


@pytest.fixture
def write_model(tmp_path: Path, info: ModelInfo) -> WriteModel:
    """Write a bare graph with its contract, by default with small tiles."""

    def write(
        bare: onnx.ModelProto, name: str = "model.onnx", transform: str = "identity", **settings: object
    ) -> Path:
        chosen = {"io": "uint8", "tile_px": 64, "batch": 1, "dynamic": False, **settings}
        described = dataclasses.replace(info, value_transform=transform)
        model, _ = add_contract(bare, described, **chosen)  # type: ignore[arg-type]
        path = tmp_path / name
        path.write_bytes(to_bytes(model))
        return path

    return write


@pytest.fixture
def install_tensorrt(monkeypatch: pytest.MonkeyPatch) -> Install:
    """install_tensorrt(*flavours) → exactly these are installed: stand-ins of version 10.3.0."""

    def install(*flavours: str) -> None:
        for flavour in FLAVOURS:
            name = flavour.replace("-", "_")
            stand_in = ModuleType(name)
            vars(stand_in).update(__version__="10.3.0", Runtime=object)
            monkeypatch.setitem(sys.modules, name, stand_in if flavour in flavours else None)

    return install


def clone(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def change_weight(bare: onnx.ModelProto, name: str, factor: float) -> None:
    """Multiply one initializer of a graph."""
    tensor = next(tensor for tensor in bare.graph.initializer if tensor.name == name)
    values = numpy_helper.to_array(tensor)
    tensor.CopyFrom(numpy_helper.from_array((values * factor).astype(values.dtype), name))
