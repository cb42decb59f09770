from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from n2b.export.onnx.file import read_onnx, to_bytes
from n2b.export.onnx.io_contract import strip_contract
from n2b.runtime.errors import ModelError
from n2b.runtime.model_info import ModelInfo
from onnx import external_data_helper

from ..conftest import WriteModel


def test_a_file_is_read_as_it_was_written(
    bare: onnx.ModelProto, info: ModelInfo, write_model: WriteModel
) -> None:
    model, found = read_onnx(write_model(bare))
    assert found == info
    assert to_bytes(strip_contract(model, "model")) == to_bytes(bare)


def test_the_same_model_gives_the_same_bytes(bare: onnx.ModelProto, write_model: WriteModel) -> None:
    assert write_model(bare, "a.onnx").read_bytes() == write_model(bare, "b.onnx").read_bytes()


def test_a_missing_file_and_a_folder_are_found_apart(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.onnx does not exist"):
        read_onnx(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="is not a file"):
        read_onnx(tmp_path)


@pytest.mark.parametrize(
    "data", [b"", b"no model, but text\n", b"\x89PNG\r\n\x1a\n" + bytes(64), b"\x08\x08"]
)
def test_what_is_no_onnx_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelError, match="is not an ONNX file, or is damaged"):
        read_onnx(path)


def test_a_truncated_file_is_refused(bare: onnx.ModelProto, write_model: WriteModel) -> None:
    path = write_model(bare)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="damaged"):
        read_onnx(path)


def test_a_model_of_someone_else_is_refused(bare: onnx.ModelProto, tmp_path: Path) -> None:
    path = tmp_path / "foreign.onnx"
    path.write_bytes(to_bytes(bare))
    with pytest.raises(ModelError, match=r"foreign\.onnx is not a denoiser of n2b") as caught:
        read_onnx(path)
    assert "it takes 'input' of float32, ?×3×?×?, where one input 'image' of uint8" in str(caught.value)


def test_weights_in_another_file_are_refused(
    bare: onnx.ModelProto, write_model: WriteModel, tmp_path: Path
) -> None:
    model = onnx.load(str(write_model(bare)))
    external_data_helper.convert_model_to_external_data(model, location="weights", size_threshold=0)
    path = tmp_path / "split.onnx"
    onnx.save(model, str(path))
    with pytest.raises(ModelError, match=r"split\.onnx keeps its weights in another file"):
        read_onnx(path)


def in_a_weight(model: onnx.ModelProto) -> onnx.TensorProto:
    return model.graph.initializer[0]


def in_an_attribute(model: onnx.ModelProto) -> onnx.TensorProto:
    return model.graph.node[3].attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t


def in_a_subgraph(model: onnx.ModelProto) -> onnx.TensorProto:
    branch = model.graph.node[3].attribute.add(name="body", type=onnx.AttributeProto.GRAPH).g
    return branch.node.add(op_type="Constant").attribute.add(name="value").t


def in_a_sparse_weight(model: onnx.ModelProto) -> onnx.TensorProto:
    return model.graph.sparse_initializer.add().values


def in_a_function(model: onnx.ModelProto) -> onnx.TensorProto:
    return model.functions.add(name="f").node.add(op_type="Constant").attribute.add(name="value").t


def in_training(model: onnx.ModelProto) -> onnx.TensorProto:
    return model.training_info.add().algorithm.initializer.add()


@pytest.mark.parametrize("location", ["/etc/passwd", "../secret", "weights", "pipe"])
@pytest.mark.parametrize(
    "place", [in_a_weight, in_an_attribute, in_a_subgraph, in_a_sparse_weight, in_a_function, in_training]
)
def test_paths_to_data_are_refused_before_anything_follows_them(
    bare: onnx.ModelProto,
    write_model: WriteModel,
    monkeypatch: pytest.MonkeyPatch,
    place: Callable[[onnx.ModelProto], onnx.TensorProto],
    location: str,
) -> None:
    path = write_model(bare)
    monkeypatch.chdir(path.parent)
    os.mkfifo("pipe")  # whoever opens it waits for ever
    model = onnx.load(str(path))
    tensor = place(model)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    path.write_bytes(to_bytes(model))
    monkeypatch.setattr(onnx.checker, "check_model", lambda *_args, **_more: pytest.fail("it was checked"))
    with pytest.raises(ModelError, match="keeps its weights in another file"):
        read_onnx(path)


def in_opset(version: int | None) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        del model.opset_import[:]
        if version is not None:
            model.opset_import.add(domain="", version=version)

    return change


def with_an_operator_of_others(model: onnx.ModelProto) -> None:
    model.opset_import.add(domain="com.example", version=1)
    model.graph.node[5].domain = "com.example"


def with_an_operator_that_does_not_exist(model: onnx.ModelProto) -> None:
    model.graph.node[5].op_type = "Convolve"


def with_a_weight_of_too_many_values(model: onnx.ModelProto) -> None:
    tensor = next(t for t in model.graph.initializer if t.name == "down.0.weight")
    tensor.raw_data += bytes(4)  # too few are for the checker


def with_a_branch(model: onnx.ModelProto) -> None:
    model.graph.node[3].attribute.add(name="body", type=onnx.AttributeProto.GRAPH).g.name = "branch"


def with_a_description_beyond_16_mb(model: onnx.ModelProto) -> None:
    model.metadata_props[0].value += " " * 16_000_000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (in_opset(99), "of opset 99; n2b reads 17 to 20: export it again with --opset 18"),
        (in_opset(16), "of opset 16; n2b reads 17 to 20: export it again with --opset 18"),
        (in_opset(None), "of no opset; n2b reads 17 to 20: export it again with --opset 18"),
        (with_an_operator_of_others, r"operators of 'com\.example'"),
        (with_an_operator_that_does_not_exist, "is not valid ONNX"),
        (
            with_a_weight_of_too_many_values,
            r"weight 'down\.0\.weight' does not hold what its shape, 8×8×3×3, requires",
        ),
        (with_a_branch, "has functions, branches, loops or sparse weights"),
        (with_a_description_beyond_16_mb, "its description is larger than 16 MB"),
    ],
)
def test_a_model_that_n2b_did_not_write_so_is_refused(
    bare: onnx.ModelProto, write_model: WriteModel, change: Callable[[onnx.ModelProto], None], words: str
) -> None:
    path = write_model(bare)
    model = onnx.load(str(path))
    change(model)
    path.write_bytes(to_bytes(model))
    with pytest.raises(ModelError, match=words):
        read_onnx(path)


def test_a_name_that_is_not_text_is_refused(bare: onnx.ModelProto, write_model: WriteModel) -> None:
    path = write_model(bare)
    path.write_bytes(path.read_bytes().replace(b"down.0.max_pool", b"down.0.\xffax_pool"))
    with pytest.raises(ModelError, match="a name in it is not text"):
        read_onnx(path)
