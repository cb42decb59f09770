from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from n2b.export.onnx.file import to_bytes
from n2b.export.onnx.float16 import to_fp16
from n2b.export.onnx.opset import opset_of, set_opset
from n2b.export.source import find_source, load_source
from n2b.runtime.errors import MissingPackageError, ModelError, UserError
from n2b.runtime.system.files import sha256_of_file

from .conftest import WriteModel


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("n2b.runtime.model_files.BUNDLED", tmp_path / "bundled")
    return tmp_path


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_with_no_model_named_the_latest_run_comes_before_the_bundled_model(here: Path) -> None:
    with pytest.raises(ModelError, match="train one with n2b-train"):
        find_source(None)
    touch(here / "bundled" / "gaussian.onnx")
    touch(here / "bundled" / "camera.onnx")
    assert find_source(None) == here / "bundled" / "gaussian.onnx"
    assert find_source(Path("camera")) == here / "bundled" / "camera.onnx"
    touch(here / "runs" / "latest" / "checkpoint.pt")
    assert find_source(None) == Path("runs/latest/checkpoint.pt")


def test_a_folder_means_the_checkpoint_or_the_model_in_it(here: Path) -> None:
    run, export = touch(here / "run" / "checkpoint.pt"), touch(here / "export" / "model.onnx")
    assert find_source(run.parent) == run
    assert find_source(export.parent) == export
    (here / "empty").mkdir()
    with pytest.raises(ModelError, match=r"holds neither checkpoint\.pt nor model\.onnx"):
        find_source(here / "empty")


def test_files_are_taken_by_their_kind(here: Path) -> None:
    for name in ("a.onnx", "a.pt"):
        assert find_source(touch(here / name)) == here / name
    with pytest.raises(UserError, match=r"model\.engine is neither a checkpoint"):
        find_source(touch(here / "model.engine"))
    with pytest.raises(ModelError, match=r"none\.onnx does not exist"):
        find_source(here / "none.onnx")


def test_an_onnx_file_is_its_own_reference(bare: onnx.ModelProto, write_model: WriteModel) -> None:
    path = write_model(bare)
    source = load_source(path)
    assert to_bytes(source.bare) == to_bytes(bare)
    assert source.info.sources == {"model.onnx": sha256_of_file(path)}
    batch = np.random.default_rng(0).random((1, 3, 32, 64), np.float32)
    assert source.reference.run(batch).shape == batch.shape


def test_the_opset_is_kept_unless_another_is_asked_for(
    bare: onnx.ModelProto, write_model: WriteModel
) -> None:
    path = write_model(set_opset(bare, 19))
    assert opset_of(load_source(path).bare) == 19
    assert opset_of(load_source(path, opset=17).bare) == 17
    with pytest.raises(UserError, match="opset 12 is not supported"):
        load_source(path, opset=12)


def test_an_fp16_file_is_no_source(bare: onnx.ModelProto, write_model: WriteModel) -> None:
    path = write_model(to_fp16(bare))
    with pytest.raises(ModelError, match="is FP16 already; name the FP32 file"):
        load_source(path)


def test_a_checkpoint_needs_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        MissingPackageError, match=r"torch is not installed: pip install 'noise2blur\[train\]'"
    ):
        load_source(touch(tmp_path / "checkpoint.pt"))


@pytest.mark.parametrize("data", [b"", b"no checkpoint", b"PK\x03\x04 broken"])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"checkpoint\.pt is no checkpoint, or damaged"):
        load_source(path)
