from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from n2b.calibration.session import open_session, run_session
from n2b.export.fp16_overflow import extreme_images, nodes_for_fp32
from n2b.export.onnx.float16 import to_fp16
from n2b.export.onnx.from_torch import NETWORK_INPUT
from n2b.export.source import Source
from n2b.export.verify.node_by_node import run_node_by_node
from n2b.runtime.model_info import ModelInfo
from onnx import TensorProto

from .conftest import change_weight


@pytest.fixture
def loud(bare: onnx.ModelProto) -> onnx.ModelProto:
    """The network with a million times as much between its last layers; its result is the same."""
    for name, factor in (("top.0.weight", 1e6), ("top.0.bias", 1e6), ("top.1.weight", 1e-6)):
        change_weight(bare, name, factor)
    return bare


def source_of(bare: onnx.ModelProto, info: ModelInfo) -> Source:
    return Source(Path("model.onnx"), bare, info, reference=None)  # type: ignore[arg-type] — not asked


def test_a_sound_network_needs_no_fp32(bare: onnx.ModelProto, info: ModelInfo) -> None:
    lines: list[str] = []
    assert nodes_for_fp32(source_of(bare, info), lines.append) == {}
    assert lines == []


def test_the_nodes_that_overflow_are_found_and_kept_in_fp32(loud: onnx.ModelProto, info: ModelInfo) -> None:
    batch = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)
    exact = run_session(open_session(loud.SerializeToString(), "loud"), batch)
    broken = dict(
        run_node_by_node(to_fp16(_without_loud_weights(loud)), {NETWORK_INPUT: batch.astype(np.float16)})
    )
    assert not np.isfinite(broken["top.0"]).all()

    lines: list[str] = []
    nodes = nodes_for_fp32(source_of(loud, info), lines.append)
    assert set(nodes) == {"top.0", "top.0.leaky_relu", "top.1"}
    assert len(lines) == 1 and lines[0].endswith(": top.0, top.0.leaky_relu, top.1")
    assert max(nodes.values()) > 65504
    mixed = to_fp16(loud, fp32=nodes)
    results = dict(run_node_by_node(mixed, {NETWORK_INPUT: batch.astype(np.float16)}))
    last = list(results.values())[-1]
    assert last.dtype == np.float16
    np.testing.assert_allclose(last.astype(np.float32), exact, atol=0.01)
    kept = {t.name for t in mixed.graph.initializer if t.data_type == TensorProto.FLOAT}
    assert {"top.0.weight", "top.1.weight"} <= kept and "up.0.0.weight" not in kept


def _without_loud_weights(loud: onnx.ModelProto) -> onnx.ModelProto:
    """Weights that FP16 holds, and values that it does not."""
    quiet = onnx.ModelProto()
    quiet.CopyFrom(loud)
    change_weight(quiet, "top.0.weight", 0.1)
    change_weight(quiet, "top.0.bias", 0.01)
    change_weight(quiet, "top.1.weight", 1e6)
    return quiet


def test_the_result_may_come_from_fp32(bare: onnx.ModelProto) -> None:
    model = to_fp16(bare, fp32=["last"])
    batch = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)
    last = list(run_node_by_node(model, {NETWORK_INPUT: batch.astype(np.float16)}))[-1][1]
    exact = run_session(open_session(bare.SerializeToString(), "bare"), batch)
    np.testing.assert_allclose(last.astype(np.float32), exact, atol=0.01)


def test_extreme_images_are_black_white_and_chequered() -> None:
    images = extreme_images(16, 24)
    assert images.shape == (4, 16, 24, 3)
    assert images.mean(axis=(1, 2, 3)).tolist() == [0, 1, 0.5, 0.5]
    assert (np.diff(images[2], axis=1) != 0).all()
