"""Models whose results are not those of a denoiser, or whose files contradict themselves, are refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from n2b.runtime import Denoiser, ModelError
from n2b.runtime.model_info import METADATA_KEY, ModelInfo
from onnx import TensorProto, helper, numpy_helper

OPEN = ("n", "h", "w", 3)


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    constants: dict[str, Any] | None = None,
    *,
    io: str = "uint8",
    shape: Sequence[int | str] = OPEN,
    result: Sequence[int | str] | None = None,
    **fields: Any,
) -> Path:
    """Save a model of n2b with these nodes between `image` and `denoised`."""
    kind = TensorProto.UINT8 if io == "uint8" else TensorProto.FLOAT
    values = [
        helper.make_tensor_value_info("image", kind, shape),
        helper.make_tensor_value_info("denoised", kind, result or shape),
    ]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    model = helper.make_model(
        helper.make_graph(nodes, "test", values[:1], values[1:], tensors),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    helper.set_model_props(model, {METADATA_KEY: ModelInfo("false", io=io, **fields).to_json()})
    onnx.save(model, path)
    return path


def sliced(axis: int, end: int, step: int = 1) -> tuple[list[onnx.NodeProto], dict[str, Any]]:
    """Return nodes and constants of a model that returns a part of its batch."""
    node = helper.make_node("Slice", ["image", "start", "end", "axis", "step"], ["denoised"])
    constants = {"start": [0], "end": [end], "axis": [axis], "step": [step]}
    return [node], {name: np.array(value, np.int64) for name, value in constants.items()}


def joined(axis: int) -> tuple[list[onnx.NodeProto], dict[str, Any]]:
    """Return the node of a model that returns its batch twice, along an axis."""
    return [helper.make_node("Concat", ["image", "image"], ["denoised"], axis=axis)], {}


def combined(operator: str, value: Any) -> tuple[list[onnx.NodeProto], dict[str, Any]]:
    """Return the node of a model that combines each pixel with a constant."""
    return [helper.make_node(operator, ["image", "value"], ["denoised"])], {"value": np.float32(value)}


OTHER_SIZES = {
    "no tiles": sliced(0, 0),
    "no rows": sliced(1, 0),
    "no columns": sliced(2, 0),
    "10 rows": sliced(1, 10),
    "every second row": sliced(1, 1 << 30, 2),
    "twice the tiles": joined(0),
    "twice the rows": joined(1),
    "twice the columns": joined(2),
    "rows and columns exchanged": (
        [helper.make_node("Transpose", ["image"], ["denoised"], perm=[0, 2, 1, 3])],
        {},
    ),
}


@pytest.mark.parametrize("tile", [0, 16, "auto"])
@pytest.mark.parametrize("kind", OTHER_SIZES)
def test_a_result_of_another_size_is_refused(tmp_path: Path, kind: str, tile: Any) -> None:
    nodes, constants = OTHER_SIZES[kind]
    model = save(tmp_path / "model.onnx", nodes, constants, result=("n2", "h2", "w2", 3))
    with pytest.raises(ModelError, match=r"returns .* for a batch of .*; export the model again"):
        _denoise(model, tile=tile, image=np.full((24, 40, 3), 7, np.uint8))


def test_a_result_without_channels_is_refused(tmp_path: Path) -> None:
    nodes, constants = sliced(3, 0)
    model = save(tmp_path / "model.onnx", nodes, constants, result=("n", "h", "w", "c"))
    with pytest.raises(ModelError):
        _denoise(model, tile=0)


@pytest.mark.parametrize(
    ("kind", "result"),
    [("no columns", (1, 16, 0, 3)), ("10 rows", (1, 10, 16, 3)), ("twice the tiles", (2, 16, 16, 3))],
)
def test_a_graph_that_declares_another_size_is_refused_as_it_is_opened(
    tmp_path: Path, kind: str, result: tuple[int, ...]
) -> None:
    nodes, constants = OTHER_SIZES[kind]
    model = save(tmp_path / "model.onnx", nodes, constants, shape=(1, 16, 16, 3), result=result)
    with pytest.raises(
        ModelError, match=r"returns .* for a batch of 1×16×16×3, and a denoiser keeps the size"
    ):
        Denoiser(model)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("strength", [1.0, 0.5])
@pytest.mark.parametrize(
    ("operator", "value"),
    [("Add", np.nan), ("Mul", np.inf), ("Sub", np.inf), ("Mul", np.nan), ("Mul", 1e30), ("Sub", 1e5)],
)
def test_values_that_are_not_finite_or_in_range_are_refused(
    tmp_path: Path, operator: str, value: float, strength: float, dtype: Any
) -> None:
    nodes, constants = combined(operator, value)
    model = save(tmp_path / "model.onnx", nodes, constants, io="float32")
    image = np.full((24, 40, 3), 1, dtype) * dtype(1 if dtype is np.float32 else 200)
    with pytest.raises(ModelError, match=r"returns values from .*, where 0 to 1 is expected"):
        _denoise(model, image=image, tile=16, strength=strength)


def test_one_pixel_that_is_not_a_number_is_refused(tmp_path: Path) -> None:
    """It is in one channel of the last tile."""
    (node,) = combined("Pow", 0.5)[0]
    model = save(tmp_path / "model.onnx", [node], {"value": np.float32(0.5)}, io="float32")
    image = np.full((40, 40, 3), 0.25, np.float32)
    np.testing.assert_allclose(_denoise(model, image=image, tile=16), 0.5)
    image[39, 39, 2] = -1
    with pytest.raises(ModelError, match="values from nan to nan"):
        _denoise(model, image=image, tile=16)


def test_the_command_refuses_in_one_line_and_writes_nothing(tmp_path: Path, n2b_infer) -> None:
    nodes, constants = OTHER_SIZES["no tiles"]
    model = save(tmp_path / "model.onnx", nodes, constants, result=("n2", "h2", "w2", 3))
    for name in "ab":
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((20, 30, 3), np.uint8))
    status, _, error = n2b_infer("a.png", "b.png", "-o", "out", "-m", model)
    assert status == 2
    assert error.splitlines()[-1].startswith(f"n2b-infer: {model} returns 0×")
    assert not list(tmp_path.glob("out/*.png"))


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ((0, 64, 64, 3), "takes 0 tiles at once"),
        ((10**9, 64, 64, 3), "takes 1000000000 tiles at once"),
        ((2**62, 64, 64, 3), "tiles at once"),
        ((1, 2**31 - 1, 2**31 - 1, 3), "takes tiles of 2147483647×2147483647 px"),
        ((1, 64, 10**6, 3), "takes tiles of 64×1000000 px"),
    ],
)
def test_sizes_that_no_model_has_are_refused(tmp_path: Path, shape: tuple[int, ...], reason: str) -> None:
    node = helper.make_node("Identity", ["image"], ["denoised"])
    model = save(tmp_path / "model.onnx", [node], shape=shape)
    with pytest.raises(ModelError, match=reason):
        Denoiser(model)


@pytest.mark.parametrize("name", ["size_multiple_px", "receptive_radius_px", "default_halo_px", "parameters"])
@pytest.mark.parametrize("value", [2**70, 10**30, 10**13])
def test_numbers_that_no_model_has_are_refused(tmp_path: Path, name: str, value: int) -> None:
    node = helper.make_node("Identity", ["image"], ["denoised"])
    fields: dict[str, Any] = {name: value}
    model = save(tmp_path / "model.onnx", [node], **fields)
    with pytest.raises(ModelError, match=f"'{name}' in its description is .*, more than any model has"):
        Denoiser(model)


def _denoise(
    model: Path, *, image: np.ndarray | None = None, tile: Any = "auto", strength: float = 1.0
) -> np.ndarray:
    with Denoiser(model, tile=tile, backend="onnxruntime") as denoise:
        return denoise(np.zeros((24, 40, 3), np.uint8) if image is None else image, strength)


def endless_loop() -> list[onnx.NodeProto]:
    """Return the node of a model that counts to 2⁶² before it returns its batch."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["more"]), helper.make_node("Identity", ["a"], ["b"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("a", TensorProto.UINT8, None),
        ],
        [
            helper.make_tensor_value_info("more", TensorProto.BOOL, []),
            helper.make_tensor_value_info("b", TensorProto.UINT8, None),
        ],
    )
    return [helper.make_node("Loop", ["count", "is_true", "image"], ["denoised"], body=body)]


UNKNOWN_OPERATORS: dict[str, tuple[list[onnx.NodeProto], dict[str, Any]]] = {
    "Loop": (endless_loop(), {"count": np.array(2**62), "is_true": np.array(True)}),
    "ConstantOfShape": (
        [
            helper.make_node("ConstantOfShape", ["size"], ["large"]),
            helper.make_node("Cast", ["large"], ["bytes"], to=TensorProto.UINT8),
            helper.make_node("Add", ["image", "bytes"], ["denoised"]),
        ],
        {"size": np.array([4, 10**9])},
    ),
    "Expand": (
        [helper.make_node("Expand", ["image", "size"], ["denoised"])],
        {"size": np.array([10**6, 6 * 10**4, 1, 3])},
    ),
    "RandomNormalLike": ([helper.make_node("RandomNormalLike", ["image"], ["denoised"])], {}),
    "com.evil.Evil": ([helper.make_node("Evil", ["image"], ["denoised"], domain="com.evil")], {}),
    "com.microsoft.Inverse": (
        [helper.make_node("Inverse", ["image"], ["denoised"], domain="com.microsoft")],
        {},
    ),
}


@pytest.mark.parametrize("operator", UNKNOWN_OPERATORS)
def test_operators_that_no_denoiser_has_are_refused(tmp_path: Path, operator: str) -> None:
    nodes, constants = UNKNOWN_OPERATORS[operator]
    model = save(tmp_path / "model.onnx", nodes, constants)
    expected = rf"it contains the operator '{re.escape(operator)}', which no denoiser has; use n2b-export"
    with pytest.raises(ModelError, match=expected):
        Denoiser(model, backend="onnxruntime")


def test_an_operator_s_name_is_cut_and_escaped(tmp_path: Path) -> None:
    node = helper.make_node("\x1b[31m" + "X" * 10**6, ["image"], ["denoised"])
    with pytest.raises(ModelError) as caught:
        Denoiser(save(tmp_path / "model.onnx", [node]), backend="onnxruntime")
    assert len(str(caught.value)) < 500
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 1000, b"hello" * 1000, b"\x3a\xff\xff\xff\xff\x7f", b"\x80" * 99]
)
def test_what_is_no_onnx_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ModelError, match="export"):
        Denoiser(tmp_path / "model.onnx", backend="onnxruntime")


def test_a_description_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    node = helper.make_node("Identity", ["image"], ["denoised"])
    model = save(tmp_path / "model.onnx", [node])
    model.write_bytes(model.read_bytes().replace(b'"false"', b'"fals\xff"'))
    with pytest.raises(ModelError, match="export"):
        Denoiser(model, backend="onnxruntime")


@pytest.mark.parametrize("name", ["architecture", "precision", "value_transform"])
@pytest.mark.parametrize("value", ["\x1b[31mX", "\n\x1b]0;pwn\x07", "y" * 10**6, "\u202eX"])
def test_names_in_a_description_never_steer_the_terminal(
    tmp_path: Path, n2b_infer, name: str, value: str
) -> None:
    node = helper.make_node("Identity", ["image"], ["denoised"])
    fields: dict[str, Any] = {"architecture": "false", "io": "uint8", name: value}
    model = save(tmp_path / "model.onnx", [node])
    described = onnx.load(model)
    helper.set_model_props(described, {METADATA_KEY: ModelInfo(**fields).to_json()})
    onnx.save(described, model)
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((20, 30, 3), np.uint8))
    status, out, error = n2b_infer("a.png", "-o", "out", "-m", model)
    assert status == 2
    assert (out + error).replace("\n", "").isprintable()
    assert len(error) < 1000
    assert f"'{name}' in its description is" in error or f"'{name}' is" in error
