from __future__ import annotations

import onnx
from n2b.calibration.layers import convolutions, image_layers, last_layer, result_layers


def test_the_layers_of_the_image_and_of_the_result_are_found(bare: onnx.ModelProto) -> None:
    assert result_layers(bare) == {"last"}
    assert last_layer(bare) == "last"
    assert image_layers(bare) == {"first"}


def test_convolutions_are_named_in_their_order(bare: onnx.ModelProto) -> None:
    assert convolutions(bare) == ["first", "down", "up", "top", "last"]
