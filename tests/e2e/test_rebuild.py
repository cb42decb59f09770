"""An engine of another version is built again as it was, by n2b-export in a process of its own."""

from __future__ import annotations

import dataclasses
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from n2b.export.cli import main
from n2b.runtime.denoiser import Denoiser
from n2b.runtime.errors import EnvironmentFault
from n2b.runtime.model_info import ModelInfo
from n2b.runtime.system.files import sha256_of_file
from n2b.runtime.system.gpu import find_gpu
from n2b.runtime.system.tensorrt import is_installed, version_of

SHAPES = ["--min-shape", "1x32x64", "--opt-shape", "2x64x64", "--max-shape", "3x96x128"]

pytestmark = pytest.mark.skipif(not is_installed("tensorrt-rtx"), reason="needs the package tensorrt-rtx")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["n2b-export", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A portable engine of the bundled camera model, for a range of shapes."""
    options = ["--dynamic", *SHAPES, "--portable", "--workspace", "0.5", "--target", "tensorrt-rtx"]
    out = tmp_path / "out"
    assert run(monkeypatch, "camera", "--fp16", "--tile", "64", "--no-verify", "--out", out, *options) == 0
    return out / "model.fp16.engine"


def description(engine: Path) -> ModelInfo:
    return ModelInfo.from_json(engine.with_name(engine.name + ".json").read_text(), source="engine")


def test_an_engine_is_built_again_as_it_was(engine: Path) -> None:
    asked = description(engine)
    assert asked.engine["profile"] == {"min": [1, 32, 64, 3], "opt": [2, 64, 64, 3], "max": [3, 96, 128, 3]}
    assert "7.5" in asked.engine["portable"]
    assert asked.engine["onnx_sha256"] == sha256_of_file(engine.with_name("model.fp16.onnx"))

    old = dataclasses.replace(asked, engine={**asked.engine, "version": "0.1"})
    engine.with_name(engine.name + ".json").write_text(old.to_json())
    engine.write_bytes(b"a plan of version 0.1")
    with (
        suppress(EnvironmentFault),
        Denoiser(engine, rebuild="auto"),
    ):  # built, and where there is a GPU opened
        pass
    assert description(engine) == asked
    assert asked.engine["version"] == version_of("tensorrt-rtx")
    assert engine.stat().st_size > 100_000


def test_one_engine_is_built_of_a_finished_file(
    engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx = engine.with_name("model.fp16.onnx")
    before = sorted(engine.parent.iterdir())
    one = tmp_path / "one.engine"
    assert run(monkeypatch, onnx, "--engine", one, "--opt-shape", "1x32x32", "--max-shape", "1x64x64") == 0
    assert description(one).precision == "fp16"
    assert description(one).engine["profile"]["max"] == [1, 64, 64, 3]
    assert "one.engine was built in fp16 (in the " in capsys.readouterr().out
    assert sorted(engine.parent.iterdir()) == before

    for arguments, words in [
        (["--engine", "model.plan"], "ends in .engine"),
        (["--engine", one, "--fp16"], "leave --fp16,"),
        (["--engine", one, "--target", "none"], "--engine needs TensorRT"),
        (["--engine", one, "--tile", "100"], "multiple of 32"),
        (["--engine", one, "--dla", "0"], "tensorrt-rtx has no --dla"),
        (["--engine", one, "--max-shape", "1x100x64"], "multiples of 32"),
    ]:
        assert run(monkeypatch, onnx, *arguments) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1


def test_a_file_of_one_shape_gives_an_engine_of_that_shape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    made = ["--tile", "64", "--batch", "2", "--no-verify", "--target", "none", "--out", out]
    assert run(monkeypatch, "camera", *made) == 0
    onnx, one = out / "model.onnx", tmp_path / "one.engine"
    assert run(monkeypatch, onnx, "--engine", one) == 0
    built = description(one).engine
    assert built["profile"] == {key: [2, 64, 64, 3] for key in ("min", "opt", "max")}
    assert built["dynamic"] is False
    capsys.readouterr()
    for arguments in (["--max-shape", "1x64x64"], ["--tile", "128"], ["--batch", "4"]):
        assert run(monkeypatch, onnx, "--engine", one, *arguments) == 2
        assert "takes 2x64x64 only; leave " in capsys.readouterr().err


@pytest.mark.gpu
@pytest.mark.skipif(find_gpu() is None, reason="needs an NVIDIA GPU, and this machine has none")
def test_compiled_kernels_are_kept(engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    results = []
    for _ in range(2):
        with Denoiser(engine, strict=True) as denoise:
            results.append(denoise(image))
    (kernels,) = (tmp_path / "cache" / "n2b").glob("*.kernels")
    assert kernels.stat().st_size > 0
    np.testing.assert_array_equal(*results)
