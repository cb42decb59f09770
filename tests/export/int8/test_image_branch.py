from __future__ import annotations

import numpy as np
import onnx
from n2b.calibration.layers import image_layers
from n2b.calibration.session import open_session, run_session
from n2b.export.int8.image_branch import split_image_convolutions, split_names


def test_a_split_network_computes_the_same(small: onnx.ModelProto, batches: list[np.ndarray]) -> None:
    split = split_image_convolutions(small)
    onnx.checker.check_model(split, full_check=True)
    assert "Concat" not in {node.op_type for node in split.graph.node}
    for batch in batches:
        exact, same = (
            run_session(open_session(model.SerializeToString(), "x"), batch) for model in (small, split)
        )
        np.testing.assert_allclose(same, exact, atol=1e-5)


def test_the_parts_of_a_split_convolution_are_named(small: onnx.ModelProto) -> None:
    split = split_image_convolutions(small)
    assert image_layers(split) == {"first", "up.image"}
    assert split_names({"up", "concat", "top"}, split) == {"up", "up.image", "up.add", "top"}
