"""An engine is taken only with the model.onnx that it was built with."""

from __future__ import annotations

from pathlib import Path

import pytest
from n2b.runtime.backends.tensorrt.engine_file import check_fits, read_description
from n2b.runtime.errors import StaleEngineError
from n2b.runtime.model_files import find_model, is_of_other_model
from n2b.runtime.model_info import ModelInfo
from n2b.runtime.system.files import sha256_of_file

ENGINES = ("model.int8.engine", "model.fp16.engine", "model.fp32.engine")


def write_onnx(folder: Path, content: str, name: str = "model.onnx") -> str:
    (folder / name).write_text(content)
    return sha256_of_file(folder / name)


def write_engine(folder: Path, name: str, sources: dict[str, str], **engine: str) -> Path:
    path = folder / name
    path.write_bytes(b"plan")
    info = ModelInfo("unet", sources=sources, engine={"flavour": "tensorrt", **engine})
    path.with_name(f"{name}.json").write_text(info.to_json())
    return path


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_of_the_model_next_to_it_is_taken(tmp_path: Path, name: str) -> None:
    sha256 = write_onnx(tmp_path, "a")
    engine = write_engine(tmp_path, name, {"model.onnx": sha256})
    assert find_model(tmp_path).engine == engine
    assert not is_of_other_model(engine)
    check_fits(engine, read_description(engine), "10.0", None)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("records", [True, False])
def test_an_engine_of_another_model_is_refused(tmp_path: Path, name: str, records: bool) -> None:
    """Also one whose own source, such as model.fp16.onnx, lies unchanged next to it."""
    old = write_onnx(tmp_path, "old")
    half = write_onnx(tmp_path, "half of old", "model.fp16.onnx")
    sources = {"checkpoint": "00", "model.fp16.onnx": half, **({"model.onnx": old} if records else {})}
    engine = write_engine(tmp_path, name, sources, onnx="model.fp16.onnx", onnx_sha256=half)
    write_onnx(tmp_path, "new")
    assert is_of_other_model(engine)
    with pytest.raises(
        StaleEngineError, match=r"not built with the model\.onnx next to it; export the model"
    ):
        check_fits(engine, read_description(engine), "10.0", None)


def test_of_several_engines_that_of_the_model_is_taken(tmp_path: Path) -> None:
    old = write_onnx(tmp_path, "old")
    for name in ENGINES[:2]:
        write_engine(tmp_path, name, {"model.onnx": old})
    new = write_onnx(tmp_path, "new")
    fitting = write_engine(tmp_path, ENGINES[2], {"model.onnx": new})
    assert find_model(tmp_path).engine == fitting


def test_an_engine_alone_is_taken(tmp_path: Path) -> None:
    engine = write_engine(tmp_path, ENGINES[1], {"model.onnx": "00"})
    assert find_model(tmp_path).engine == engine
    check_fits(engine, read_description(engine), "10.0", None)


@pytest.mark.parametrize("description", [None, "", "[1]", '{"sources": 3}', "[" * 10_000])
def test_a_damaged_description_is_left_to_the_backend(tmp_path: Path, description: str | None) -> None:
    write_onnx(tmp_path, "a")
    engine = tmp_path / ENGINES[0]
    engine.write_bytes(b"plan")
    if description is not None:
        engine.with_name(f"{engine.name}.json").write_text(description)
    assert find_model(tmp_path).engine == engine
