"""n2b-export as its users run it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from n2b.export.onnx.file import read_onnx
from n2b.runtime.model_info import ModelInfo
from n2b.runtime.system.tensorrt import FLAVOURS, is_installed
from n2b.training.checkpoint import save_checkpoint
from n2b.training.models.noise2blur import DnNet

from .commands import WITHOUT_TORCH, run_in


@pytest.fixture(scope="module")
def network() -> DnNet:
    torch.manual_seed(2)
    network = DnNet().eval()
    with torch.no_grad():
        network.last.weight.mul_(0.2)
        assert network.last.bias is not None
        network.last.bias.fill_(0.5)
    return network


@pytest.fixture(scope="module")
def work(network: DnNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run in it, as n2b-train leaves one."""
    work = tmp_path_factory.mktemp("work")
    run = work / "runs" / "20250101-120000"
    run.mkdir(parents=True)
    state = {"networks": {"denoiser": network.state_dict()}, "trained": {"noise": "gaussian:0-50"}}
    save_checkpoint(run / "checkpoint.pt", state)
    (work / "runs" / "latest").symlink_to(run.name)
    return work


@pytest.fixture(scope="module")
def exported(work: Path) -> Path:
    """The first export, by the command alone; the tests after it start from its files."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert run_in(work, monkeypatch, "--fp16", "--tile", "64") == 0
    return work / "exports" / "latest"


def test_the_latest_run_becomes_the_latest_export(exported: Path, work: Path) -> None:
    assert exported.is_symlink()
    assert exported.resolve().parent == work / "exports"
    names = {path.name for path in exported.iterdir()}
    assert names >= {"model.onnx", "model.fp16.onnx"}
    if any(map(is_installed, FLAVOURS)):
        assert names >= {"model.fp16.engine", "model.fp16.engine.json"}
    assert not [path for path in (work / "exports").iterdir() if path.name.startswith(".")]


def test_the_files_describe_themselves(exported: Path) -> None:
    for name, precision in (("model.onnx", "fp32"), ("model.fp16.onnx", "fp16")):
        info = read_onnx(exported / name)[1]
        assert info.precision == precision
        assert info.architecture == "unet"
        assert info.parameters == 991_203
        assert info.size_multiple_px == 32
        assert info.trained == {"noise": "gaussian:0-50"}
        assert "checkpoint" in info.sources


def test_the_model_denoises_as_the_checkpoint_does(exported: Path, network: DnNet) -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)
    with torch.no_grad():
        result = network(torch.from_numpy(image).permute(0, 3, 1, 2) / 255)
    expected = (result.clamp(0, 1) * 255).round().permute(0, 2, 3, 1).numpy()
    for name, levels in (("model.onnx", 1), ("model.fp16.onnx", 2)):
        session = onnxruntime.InferenceSession(str(exported / name), providers=["CPUExecutionProvider"])
        denoised = np.asarray(session.run(["denoised"], {"image": image})[0])
        assert denoised.dtype == np.uint8
        assert np.abs(denoised - expected).max() <= levels


def test_a_machine_without_torch_exports_from_onnx(exported: Path, tmp_path: Path) -> None:
    sizes = ["--tile", "128", "--batch", "2"]
    arguments = ["--fp16", "--io", "float32", "--opset", "20", "--target", "none", *sizes]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(exported / "model.onnx"), *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "model.fp16.onnx" in done.stdout
    model, info = read_onnx(tmp_path / "exports" / "latest" / "model.fp16.onnx")
    assert (info.io, info.precision, model.opset_import[0].version) == ("float32", "fp16", 20)
    assert set(info.sources) == {"checkpoint", "model.onnx"}


def test_the_table_shows_how_close_every_file_is(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(exported / "model.onnx")
    assert run_in(tmp_path, monkeypatch, model, "--fp16", "--tile", "64", "--target", "none") == 0
    lines = capsys.readouterr().out.splitlines()
    (fp32,) = [line for line in lines if "model.onnx " in line and "fp32" in line]
    (fp16,) = [line for line in lines if "model.fp16.onnx" in line and "/255" in line]
    assert " dB " in fp32 or " equal " in fp32
    assert " 0/255 " in fp32 or " 1/255 " in fp32
    assert " dB " in fp16
    assert any("noise σ = 25" in line for line in lines)


@pytest.mark.skipif(not is_installed("tensorrt-rtx"), reason="needs the package tensorrt-rtx")
def test_an_engine_describes_itself(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(exported / "model.onnx")
    arguments = ["--tile", "64", "--target", "tensorrt-rtx", "--out", "out", "--no-verify"]
    assert run_in(tmp_path, monkeypatch, model, *arguments) == 0
    description = tmp_path / "out" / "model.fp32.engine.json"
    info = ModelInfo.from_json(description.read_text(), source="engine")
    assert info.engine["flavour"] == "tensorrt-rtx"
    assert "not run" in capsys.readouterr().out
    assert not (tmp_path / "exports").exists()


def test_without_tensorrt_a_line_says_what_to_install(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, module, None)
    assert run_in(tmp_path, monkeypatch, str(exported / "model.onnx"), "--tile", "64", "--no-verify") == 0
    assert (
        "no engine: TensorRT is not installed (pip install 'noise2blur[tensorrt]'" in capsys.readouterr().out
    )
    assert {path.name for path in (tmp_path / "exports" / "latest").iterdir()} == {
        "model.onnx",
        "report.html",
    }


@pytest.mark.skipif(is_installed("tensorrt"), reason="TensorRT is installed here")
def test_a_target_that_is_named_and_missing_ends_with_status_1(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(exported / "model.onnx")
    assert run_in(tmp_path, monkeypatch, model, "--target", "tensorrt", "--tile", "64") == 1
    assert capsys.readouterr().err.startswith("n2b-export: tensorrt is not installed: pip install tensorrt")
    assert list(tmp_path.iterdir()) == []


def test_files_of_an_earlier_export_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--tile", "224", "--target", "none", "--out", "out", "--no-verify"]
    assert run_in(tmp_path, monkeypatch, "camera", "--fp16", *arguments) == 0
    assert capsys.readouterr().err == ""
    assert run_in(tmp_path, monkeypatch, "camera", *arguments) == 0
    assert "model.fp16.onnx is from an earlier export" in capsys.readouterr().err


def test_exporting_again_into_the_same_folder_does_not_warn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--fp16", "--tile", "224", "--target", "none", "--out", "out", "--no-verify"]
    for _ in range(2):
        assert run_in(tmp_path, monkeypatch, "camera", *arguments) == 0
        assert capsys.readouterr().err == ""
