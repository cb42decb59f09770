from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper


@pytest.fixture
def bare() -> onnx.ModelProto:
    return small_unet()


def small_unet() -> onnx.ModelProto:
    """A small U-Net of one pooling: first, down, up of (features, image), last."""
    rng = np.random.default_rng(3)
    nodes, weights = [], []

    def conv(name: str, source: str, inputs: int, outputs: int) -> str:
        scale = (2 / (9 * inputs)) ** 0.5
        values = {
            "weight": scale * rng.standard_normal((outputs, inputs, 3, 3)),
            "bias": 0.05 * rng.random(outputs),
        }
        for kind, value in values.items():
            weights.append(numpy_helper.from_array(value.astype(np.float32), f"{name}.{kind}"))
        result = "output" if name == "last" else name
        nodes.append(
            helper.make_node(
                "Conv", [source, f"{name}.weight", f"{name}.bias"], [result], name=name, pads=[1, 1, 1, 1]
            )
        )
        return result

    def leaky(name: str) -> str:
        nodes.append(helper.make_node("LeakyRelu", [name], [f"{name}.act"], name=f"{name}.act", alpha=0.1))
        return f"{name}.act"

    features = leaky(conv("first", "input", 3, 8))
    nodes.append(
        helper.make_node("MaxPool", [features], ["pool"], name="pool", kernel_shape=[2, 2], strides=[2, 2])
    )
    features = leaky(conv("down", "pool", 8, 8))
    weights.append(numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"))
    nodes.append(
        helper.make_node("Resize", [features, "", "scales"], ["resize"], name="resize", mode="nearest")
    )
    nodes.append(helper.make_node("Concat", ["resize", "input"], ["concat"], name="concat", axis=1))
    features = leaky(conv("up", "concat", 11, 16))
    features = leaky(conv("top", features, 16, 8))
    conv("last", features, 8, 3)
    value = ["batch", 3, "height", "width"]
    graph = helper.make_graph(
        nodes,
        "n2b",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, value)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, value)],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.fixture
def batches() -> list[np.ndarray]:
    return inputs()


def inputs() -> list[np.ndarray]:
    """Four inputs, float32 1×3×32×32 in [0, 1]."""
    return [np.random.default_rng(seed).random((1, 3, 32, 32), np.float32) for seed in range(4)]
