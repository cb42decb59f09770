"""The command, and little ONNX models that follow the contract, made on the spot."""

from __future__ import annotations

import dataclasses
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from n2b.runtime import cli
from n2b.runtime.model_info import METADATA_KEY, ModelInfo
from onnx import TensorProto, helper, numpy_helper

UNET_STRIDE = 4
# 3×3 convolutions: two at full size, two at half, one at a quarter, and one more at half and at full size;
# pooling and upsampling add up to the stride − 1.
UNET_RADIUS_PX = 2 + 2 * 2 + 4 + (UNET_STRIDE - 1)

MakeModel = Callable[..., Path]


@pytest.fixture
def n2b_infer(monkeypatch, capsys, tmp_path):
    """n2b_infer(*arguments) → (exit status, stdout, stderr), run in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["n2b-infer", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, printed.out, printed.err

    return run


@pytest.fixture
def cameras(monkeypatch):
    """cameras(*scripts) → the FakeCameras that OpenCV opens from then on; attempts follow fast."""
    from n2b.runtime.sources.live import LiveCamera, Timing

    monkeypatch.setattr(LiveCamera, "timing", Timing(first_delay_s=0.01, last_delay_s=0.02))

    def install(*scripts):
        from .fakes.cameras import FakeCameras

        fakes = FakeCameras(*scripts)
        monkeypatch.setattr("cv2.VideoCapture", fakes)
        return fakes

    before = set(threading.enumerate())
    yield install
    assert set(threading.enumerate()) <= before, "a camera's thread outlives it"


def describe(path: Path, description: str) -> None:
    """Replace what an ONNX file says of itself."""
    model = onnx.load(path)
    helper.set_model_props(model, {METADATA_KEY: description})
    onnx.save(model, path)


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    """make_model(network, io=…, tile=…, batch=…, name=…, **fields of ModelInfo) → path of an ONNX file."""

    def make(
        network: str = "blur",
        *,
        io: str = "uint8",
        tile: int | tuple[int, int] | None = None,
        batch: int | None = None,
        name: str = "model.onnx",
        described: bool = True,
        **fields: Any,
    ) -> Path:
        graph = _Graph(io)
        info = _NETWORKS[network](graph)
        height, width = (tile, tile) if isinstance(tile, int) else tile or ("height", "width")
        model = graph.finish([batch or "batch", height, width, 3])
        if described:
            info = dataclasses.replace(info, io=io, **fields)
            helper.set_model_props(model, {METADATA_KEY: info.to_json()})
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, path)
        return path

    return make


class _Graph:
    """Nodes between `image` and `denoised`; inside, tensors are float32 N×3×H×W in [0, 1]."""

    def __init__(self, io: str) -> None:
        self.io = io
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.random = np.random.default_rng(0)
        self.tensor = self.add("Cast", ["image"], to=TensorProto.FLOAT) if io == "uint8" else "image"
        self.tensor = self.add("Transpose", [self.tensor], perm=[0, 3, 1, 2])
        if io == "uint8":
            self.tensor = self.add("Mul", [self.tensor, self.constant(np.float32(1 / 255))])

    def constant(self, value: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        result = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [result], **attributes))
        return result

    def conv(self, inputs: str, weights: np.ndarray) -> str:
        """A 3×3 convolution with zeros outside; `weights`: (out, in, 3, 3)."""
        return self.add("Conv", [inputs, self.constant(weights.astype(np.float32))], pads=[1, 1, 1, 1])

    def random_conv(self, inputs: str, count: int, maps: int) -> str:
        weights = self.random.normal(0, (2 / (9 * count)) ** 0.5, (maps, count, 3, 3))
        return self.add("LeakyRelu", [self.conv(inputs, weights)], alpha=0.1)

    def upsample(self, inputs: str) -> str:
        scales = self.constant(np.array([1, 1, 2, 2], np.float32))
        nearest = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.add("Resize", [inputs, "", scales], **nearest)

    def finish(self, shape: list[int | str]) -> onnx.ModelProto:
        zero, one = self.constant(np.float32(0)), self.constant(np.float32(1))
        tensor = self.add("Clip", [self.tensor, zero, one])
        if self.io == "uint8":
            tensor = self.add("Mul", [tensor, self.constant(np.float32(255))])
            tensor = self.add("Add", [tensor, self.constant(np.float32(0.5))])
        tensor = self.add("Transpose", [tensor], perm=[0, 2, 3, 1])
        kind = TensorProto.UINT8 if self.io == "uint8" else TensorProto.FLOAT
        self.nodes.append(helper.make_node("Cast", [tensor], ["denoised"], to=kind))
        values = [helper.make_tensor_value_info(name, kind, shape) for name in ("image", "denoised")]
        graph = helper.make_graph(self.nodes, "test", values[:1], values[1:], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def _identity(graph: _Graph) -> ModelInfo:
    graph.tensor = graph.add("Identity", [graph.tensor])
    return ModelInfo(architecture="identity")


def _negative(graph: _Graph) -> ModelInfo:
    """1 − x: each pixel on its own, and anything left as it was shows."""
    graph.tensor = graph.add("Sub", [graph.constant(np.float32(1)), graph.tensor])
    return ModelInfo(architecture="negative")


def _blur(graph: _Graph) -> ModelInfo:
    """The mean of 3×3 px in each channel."""
    weights = np.zeros((3, 3, 3, 3))
    weights[range(3), range(3)] = 1 / 9
    graph.tensor = graph.conv(graph.tensor, weights)
    return ModelInfo(architecture="blur", receptive_radius_px=1, default_halo_px=1)


def _redden(graph: _Graph) -> ModelInfo:
    """Adds 0.2 to red, 0.1 to green and nothing to blue, to tell the channels apart."""
    shift = graph.constant(np.array([0.2, 0.1, 0], np.float32).reshape(1, 3, 1, 1))
    graph.tensor = graph.add("Add", [graph.tensor, shift])
    return ModelInfo(architecture="redden")


def _wide(graph: _Graph) -> ModelInfo:
    """64 maps at full size, for the memory that they take."""
    tensor = graph.random_conv(graph.tensor, 3, 64)
    graph.tensor = graph.conv(tensor, graph.random.normal(0, 0.05, (3, 64, 3, 3)))
    return ModelInfo(architecture="wide", receptive_radius_px=2, default_halo_px=2)


def _unet(graph: _Graph) -> ModelInfo:
    """A small U-Net of random weights with max pooling, two levels down, which a tile's place matters to."""
    image = graph.tensor
    pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
    half = graph.add("MaxPool", [graph.random_conv(image, 3, 6)], **pool)
    quarter = graph.add("MaxPool", [graph.random_conv(half, 6, 6)], **pool)
    below = graph.upsample(graph.random_conv(quarter, 6, 6))
    joined = graph.random_conv(graph.add("Concat", [below, half], axis=1), 12, 6)
    top = graph.add("Concat", [graph.upsample(joined), image], axis=1)
    graph.tensor = graph.conv(top, graph.random.normal(0, 0.15, (3, 9, 3, 3)))
    return ModelInfo(
        architecture="unet",
        size_multiple_px=UNET_STRIDE,
        receptive_radius_px=UNET_RADIUS_PX,
        default_halo_px=UNET_RADIUS_PX,
    )


_NETWORKS: dict[str, Callable[[_Graph], ModelInfo]] = {
    "identity": _identity,
    "negative": _negative,
    "blur": _blur,
    "redden": _redden,
    "wide": _wide,
    "unet": _unet,
}
