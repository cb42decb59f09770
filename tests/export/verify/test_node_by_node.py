from __future__ import annotations

import sys

import numpy as np
import onnx
import pytest
from n2b.calibration.session import open_session, run_session
from n2b.export.onnx.float16 import to_fp16
from n2b.export.onnx.from_torch import NETWORK_INPUT
from n2b.export.verify.node_by_node import run_node_by_node
from n2b.runtime.errors import MissingPackageError, ModelError

from ..conftest import change_weight

BATCH = np.random.default_rng(0).random((1, 3, 64, 32), np.float32)


def test_node_by_node_gives_what_a_session_gives(bare: onnx.ModelProto) -> None:
    whole = run_session(open_session(bare.SerializeToString(), "bare"), BATCH)
    results = dict(run_node_by_node(bare, {NETWORK_INPUT: BATCH}))
    assert list(results) == [node.name for node in bare.graph.node]
    np.testing.assert_allclose(results["last"], whole, atol=1e-5)


def test_node_by_node_shows_an_overflow_that_later_layers_would_hide(bare: onnx.ModelProto) -> None:
    change_weight(bare, "top.0.weight", 1e5)
    change_weight(bare, "top.0.bias", 1e5)
    change_weight(bare, "top.1.weight", 1e-5)
    layers = dict(run_node_by_node(to_fp16(bare), {NETWORK_INPUT: BATCH.astype(np.float16)}))
    assert np.isinf(layers["top.0"]).any()
    assert not np.isfinite(layers["last"]).all()


def test_what_onnx_runtime_cannot_open_is_a_model_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelError, match=r"ONNX Runtime cannot run model\.onnx"):
        open_session(b"no model", "model.onnx")
    assert capfd.readouterr() == ("", "")


def test_sizes_that_do_not_fit_are_a_model_error(bare: onnx.ModelProto) -> None:
    odd = np.zeros((1, 3, 33, 32), np.float32)
    with pytest.raises(ModelError, match="ONNX Runtime failed at 'input'"):
        run_session(open_session(bare.SerializeToString(), "bare"), odd)
    with pytest.raises(ModelError, match=r"ONNX Runtime cannot run node .*concat"):
        list(run_node_by_node(bare, {NETWORK_INPUT: odd}))


def test_a_missing_onnx_runtime_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingPackageError, match=r"onnxruntime is not installed: pip install onnxruntime$"):
        open_session(b"", "model.onnx")
