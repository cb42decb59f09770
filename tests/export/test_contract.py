from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import pytest
from n2b.export.contract import add_contract, strip_contract
from n2b.export.onnx_file import to_bytes
from n2b.export.onnx_runs import open_session, run_session
from n2b.export.precision import to_fp16
from n2b.export.to_onnx import INPUT, OUTPUT, bare_value
from n2b.runtime.artifact import METADATA_KEY, ModelInfo
from n2b.runtime.errors import ModelError, UserError
from onnx import TensorProto, helper, numpy_helper


def pointwise(operator: str, constant: float) -> onnx.ModelProto:
    """A bare graph that computes one thing for each value: the contract shows through it."""
    node = helper.make_node(operator, [INPUT, "constant"], [OUTPUT], name="node")
    values = [bare_value(name, TensorProto.FLOAT, 3) for name in (INPUT, OUTPUT)]
    constants = [numpy_helper.from_array(np.array(constant, np.float32), "constant")]
    graph = helper.make_graph([node], "g", values[:1], values[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def denoise(bare: onnx.ModelProto, image: np.ndarray, *, half: bool = False) -> np.ndarray:
    model, _ = add_contract(
        to_fp16(bare) if half else bare,
        ModelInfo("test"),
        io=image.dtype.name,
        tile_px=16,
        batch=1,
        dynamic=True,
    )
    return run_session(open_session(to_bytes(model), "model"), image)


ALL_LEVELS = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)


@pytest.mark.parametrize("half", [False, True])
def test_a_network_that_changes_nothing_keeps_all_256_levels(half: bool) -> None:
    np.testing.assert_array_equal(denoise(pointwise("Add", 0), ALL_LEVELS, half=half), ALL_LEVELS)


def test_uint8_results_are_rounded_to_the_nearest_level() -> None:
    for offset in (0.4, -0.4):
        result = denoise(pointwise("Add", offset / 255), ALL_LEVELS)
        np.testing.assert_array_equal(result, ALL_LEVELS)
    brighter = denoise(pointwise("Add", 0.6 / 255), ALL_LEVELS)
    np.testing.assert_array_equal(brighter, np.minimum(ALL_LEVELS.astype(int) + 1, 255))


def test_values_beyond_the_range_are_clamped_in_both_forms() -> None:
    for image in (ALL_LEVELS, ALL_LEVELS.astype(np.float32) / np.float32(255)):
        largest = 255 if image.dtype == np.uint8 else 1
        assert (denoise(pointwise("Add", 2), image) == largest).all()
        assert (denoise(pointwise("Add", -2), image) == 0).all()


def test_float32_values_pass_unrounded() -> None:
    image = np.random.default_rng(0).random((1, 8, 8, 3), np.float32)
    np.testing.assert_array_equal(denoise(pointwise("Add", 0), image), image)


def test_channels_and_axes_keep_their_places() -> None:
    image = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), np.uint8)
    np.testing.assert_array_equal(denoise(pointwise("Mul", 1), image), image)


def test_uint8_touches_nothing_but_a_cast(bare: onnx.ModelProto, info: ModelInfo) -> None:
    model, _ = add_contract(bare, info, io="uint8", tile_px=64, batch=1, dynamic=False)
    operators = [node.op_type for node in model.graph.node]
    assert operators[:3] == ["Cast", "Transpose", "Mul"]
    assert operators[-5:] == ["Clip", "Mul", "Add", "Transpose", "Cast"]
    assert model.graph.node[0].input == ["image"]
    assert model.graph.node[-1].output == ["denoised"]


def shapes_of(model: onnx.ModelProto) -> list[list[int | str]]:
    values = [*model.graph.input, *model.graph.output]
    return [[dim.dim_param or dim.dim_value for dim in v.type.tensor_type.shape.dim] for v in values]


def test_sizes_are_fixed_or_open_as_asked(bare: onnx.ModelProto, info: ModelInfo) -> None:
    static, _ = add_contract(bare, info, io="uint8", tile_px=96, batch=4, dynamic=False)
    dynamic, _ = add_contract(bare, info, io="uint8", tile_px=96, batch=4, dynamic=True)
    assert shapes_of(static) == [[4, 96, 96, 3]] * 2
    assert shapes_of(dynamic) == [["batch", "height", "width", 3]] * 2


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("io", ["uint8", "float32"])
def test_the_file_describes_itself(bare: onnx.ModelProto, info: ModelInfo, io: str, half: bool) -> None:
    bare = to_fp16(bare) if half else bare
    model, told = add_contract(bare, info, io=io, tile_px=64, batch=1, dynamic=False)
    written = {entry.key: entry.value for entry in model.metadata_props}
    assert ModelInfo.from_json(written[METADATA_KEY], source="model") == told
    assert told == dataclasses.replace(info, io=io, precision="fp16" if half else "fp32")


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("io", ["uint8", "float32"])
@pytest.mark.parametrize("dynamic", [False, True])
def test_stripping_gives_back_the_bare_graph(
    bare: onnx.ModelProto, info: ModelInfo, io: str, half: bool, dynamic: bool
) -> None:
    bare = to_fp16(bare) if half else bare
    model, _ = add_contract(bare, info, io=io, tile_px=64, batch=2, dynamic=dynamic)
    assert to_bytes(strip_contract(model, "model")) == to_bytes(bare)


def test_a_graph_with_other_edges_is_not_stripped(bare: onnx.ModelProto, info: ModelInfo) -> None:
    model, _ = add_contract(bare, info, io="uint8", tile_px=64, batch=1, dynamic=False)
    model.graph.node[1].attribute[0].ints[:] = [0, 3, 2, 1]
    with pytest.raises(ModelError, match=r"other\.onnx lacks the input and output that n2b-export writes"):
        strip_contract(model, "other.onnx")
    with pytest.raises(ModelError, match="lacks the input and output"):
        strip_contract(bare, "bare.onnx")


@pytest.mark.parametrize("tile_px", [-32, 0, 31, 100])
def test_tiles_that_the_network_does_not_take_are_refused(
    bare: onnx.ModelProto, info: ModelInfo, tile_px: int
) -> None:
    with pytest.raises(UserError, match=f"tiles of {tile_px} px do not fit .* multiple of 32"):
        add_contract(bare, info, io="uint8", tile_px=tile_px, batch=1, dynamic=False)


def test_an_empty_batch_is_refused(bare: onnx.ModelProto, info: ModelInfo) -> None:
    with pytest.raises(UserError, match="batch of 0"):
        add_contract(bare, info, io="uint8", tile_px=32, batch=0, dynamic=False)


def test_a_value_transform_from_the_future_is_refused(bare: onnx.ModelProto, info: ModelInfo) -> None:
    info = dataclasses.replace(info, value_transform="log")
    with pytest.raises(ModelError, match="'log' is not known to this n2b"):
        add_contract(bare, info, io="uint8", tile_px=32, batch=1, dynamic=False)
