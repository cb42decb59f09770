from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import pytest
from n2b.calibration.session import open_session, run_session
from n2b.export.onnx.file import to_bytes, write_description
from n2b.export.onnx.float16 import to_fp16
from n2b.export.onnx.from_torch import NETWORK_INPUT, NETWORK_OUTPUT, bare_value
from n2b.export.onnx.io_contract import add_contract, strip_contract
from n2b.runtime.errors import ModelError, UserError
from n2b.runtime.model_info import METADATA_KEY, ModelInfo
from onnx import TensorProto, helper, numpy_helper


def pointwise(operator: str, constant: float) -> onnx.ModelProto:
    """A bare graph that computes one thing for each value: the contract shows through it."""
    node = helper.make_node(operator, [NETWORK_INPUT, "constant"], [NETWORK_OUTPUT], name="node")
    values = [bare_value(name, TensorProto.FLOAT, 3) for name in (NETWORK_INPUT, NETWORK_OUTPUT)]
    constants = [numpy_helper.from_array(np.array(constant, np.float32), "constant")]
    graph = helper.make_graph([node], "g", values[:1], values[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def denoise(
    bare: onnx.ModelProto, image: np.ndarray, *, half: bool = False, transform: str = "identity"
) -> np.ndarray:
    model, _ = add_contract(
        to_fp16(bare) if half else bare,
        ModelInfo("test", value_transform=transform),
        io=image.dtype.name,
        tile_px=16,
        batch=1,
        dynamic=True,
    )
    return run_session(open_session(to_bytes(model), "model"), image)


def log_values(x: np.ndarray) -> np.ndarray:
    return np.log(255 * x.astype(np.float64) + 1) / np.log(256)


def image_values(t: np.ndarray) -> np.ndarray:
    return (256 ** np.clip(t, 0, 1) - 1) / 255


ALL_LEVELS = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)


@pytest.mark.parametrize("transform", ["identity", "log"])
@pytest.mark.parametrize("half", [False, True])
def test_a_network_that_changes_nothing_keeps_all_256_levels(half: bool, transform: str) -> None:
    result = denoise(pointwise("Add", 0), ALL_LEVELS, half=half, transform=transform)
    np.testing.assert_array_equal(result, ALL_LEVELS)


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


@pytest.mark.parametrize(("half", "tolerance"), [(False, 1e-6), (True, 4e-3)])
@pytest.mark.parametrize(("operator", "constant"), [("Add", 0.0625), ("Add", -0.0625), ("Mul", 0.75)])
def test_a_network_of_logarithms_takes_and_gives_logarithms(
    operator: str, constant: float, half: bool, tolerance: float
) -> None:
    image = np.random.default_rng(0).random((1, 16, 16, 3), np.float32)
    t = log_values(image)
    expected = image_values(t + constant if operator == "Add" else t * constant)
    result = denoise(pointwise(operator, constant), image, half=half, transform="log")
    np.testing.assert_allclose(result, expected, atol=tolerance)
    if not half:
        levels = denoise(pointwise(operator, constant), ALL_LEVELS, transform="log")
        t = log_values(ALL_LEVELS / 255)
        expected = image_values(t + constant if operator == "Add" else t * constant)
        np.testing.assert_array_equal(levels, np.floor(255 * expected + 0.5))


@pytest.mark.parametrize("half", [False, True])
def test_a_convolution_of_logarithms_is_a_product_of_pixels(half: bool) -> None:
    kernel = np.zeros((3, 3, 3, 3), np.float32)
    for channel in range(3):
        kernel[channel, channel, 1, :] = (0.25, 0.5, 0.25)
    node = helper.make_node(
        "Conv", [NETWORK_INPUT, "kernel"], [NETWORK_OUTPUT], name="node", pads=[1, 1, 1, 1]
    )
    values = [bare_value(name, TensorProto.FLOAT, 3) for name in (NETWORK_INPUT, NETWORK_OUTPUT)]
    graph = helper.make_graph(
        [node], "g", values[:1], values[1:], [numpy_helper.from_array(kernel, "kernel")]
    )
    bare = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    image = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3), np.uint8)
    v = np.pad(image.astype(np.float64), [(0, 0), (0, 0), (1, 1), (0, 0)]) + 1  # log 1 = 0 beyond the border
    expected = np.rint((v[:, :, :-2] * v[:, :, 1:-1] ** 2 * v[:, :, 2:]) ** 0.25 - 1)
    np.testing.assert_allclose(denoise(bare, image, half=half, transform="log"), expected, atol=1)


def test_in_log_too_values_beyond_the_range_are_clamped() -> None:
    image = np.array([-0.5, -1e-3, 0, 0.5, 1, 1.5], np.float32).repeat(3).reshape(1, 1, 6, 3)
    result = denoise(pointwise("Add", 0), image, transform="log")
    np.testing.assert_allclose(result[0, 0, :, 0], [0, 0, 0, 0.5, 1, 1], atol=1e-6)
    assert result.min() == 0
    assert result.max() == 1
    for io_image in (ALL_LEVELS, image):
        largest = 255 if io_image.dtype == np.uint8 else 1
        assert (denoise(pointwise("Add", 500), io_image, transform="log") == largest).all()
        assert (denoise(pointwise("Add", -500), io_image, transform="log") == 0).all()


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
    model, described = add_contract(bare, info, io=io, tile_px=64, batch=1, dynamic=False)
    written = {entry.key: entry.value for entry in model.metadata_props}
    assert ModelInfo.from_json(written[METADATA_KEY], source="model") == described
    assert described == dataclasses.replace(info, io=io, precision="fp16" if half else "fp32")


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("io", ["uint8", "float32"])
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("transform", ["identity", "log"])
def test_stripping_gives_back_the_bare_graph(
    bare: onnx.ModelProto, info: ModelInfo, io: str, half: bool, dynamic: bool, transform: str
) -> None:
    bare = to_fp16(bare) if half else bare
    info = dataclasses.replace(info, value_transform=transform)
    model, _ = add_contract(bare, info, io=io, tile_px=64, batch=2, dynamic=dynamic)
    assert to_bytes(strip_contract(model, "model")) == to_bytes(bare)


def test_a_graph_with_other_edges_is_not_stripped(bare: onnx.ModelProto, info: ModelInfo) -> None:
    model, _ = add_contract(bare, info, io="uint8", tile_px=64, batch=1, dynamic=False)
    model.graph.node[1].attribute[0].ints[:] = [0, 3, 2, 1]
    with pytest.raises(ModelError, match=r"other\.onnx lacks the input and output that n2b-export writes"):
        strip_contract(model, "other.onnx")
    with pytest.raises(
        ModelError, match=r"bare\.onnx .* takes 'input' of float32, \?×3×\?×\?, where one input 'image'"
    ):
        strip_contract(bare, "bare.onnx")


def test_a_graph_that_does_not_do_what_it_says_to_its_values_is_not_stripped(
    bare: onnx.ModelProto, info: ModelInfo
) -> None:
    model, _ = add_contract(bare, info, io="uint8", tile_px=64, batch=1, dynamic=False)
    write_description(model, dataclasses.replace(info, value_transform="log"))
    with pytest.raises(ModelError, match=r"other\.onnx lacks the input and output"):
        strip_contract(model, "other.onnx")


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
    future = dataclasses.replace(info, value_transform="cubic")
    with pytest.raises(ModelError, match="'cubic' is not known to this n2b"):
        add_contract(bare, future, io="uint8", tile_px=32, batch=1, dynamic=False)
    model, _ = add_contract(bare, info, io="uint8", tile_px=32, batch=1, dynamic=False)
    write_description(model, future)
    with pytest.raises(ModelError, match="'cubic' is not known to this n2b"):
        strip_contract(model, "model.onnx")
