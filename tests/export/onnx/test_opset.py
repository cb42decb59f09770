from __future__ import annotations

import numpy as np
import onnx
import pytest
from n2b.calibration.session import open_session, run_session
from n2b.export.onnx.opset import OPSETS, opset_of, set_opset
from n2b.runtime.errors import UserError


@pytest.mark.parametrize("opset", OPSETS)
def test_every_opset_computes_the_same(bare: onnx.ModelProto, opset: int) -> None:
    batch = np.random.default_rng(0).random((1, 3, 32, 64), np.float32)
    expected = run_session(open_session(bare.SerializeToString(), "bare"), batch)
    converted = set_opset(bare, opset)
    assert opset_of(converted) == opset
    assert converted.ir_version == (8 if opset <= 18 else 9)
    assert [node.name for node in converted.graph.node] == [node.name for node in bare.graph.node]
    result = run_session(open_session(converted.SerializeToString(), "converted"), batch)
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("opset", [-1, 0, 16, 21, 99])
def test_other_opsets_are_refused_with_those_that_serve(bare: onnx.ModelProto, opset: int) -> None:
    with pytest.raises(UserError, match=f"opset {opset} is not supported; choose one of 17 to 20"):
        set_opset(bare, opset)


def test_the_model_given_is_left_as_it_was(bare: onnx.ModelProto) -> None:
    before = bare.SerializeToString(deterministic=True)
    set_opset(bare, 20)
    set_opset(bare, 18).graph.node[0].name = "other"
    assert bare.SerializeToString(deterministic=True) == before
