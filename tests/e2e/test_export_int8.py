"""n2b-export --int8 as its users run it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from n2b.export.onnx.file import read_onnx
from n2b.runtime import Denoiser
from n2b.runtime.images.image import Image, write_image
from n2b.runtime.model_files import bundled_models
from n2b.runtime.samples import sample_photographs
from n2b.runtime.sources import Frame, Input
from n2b.training.checkpoint import save_checkpoint
from n2b.training.config import TrainConfig
from n2b.training.data import video
from n2b.training.models.edge import EdgeNet

from .commands import WITHOUT_TORCH, run_in

QUICK = ("--dynamic", "--target", "none", "--no-verify", "--out", "out")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a small network, with its own noisy images, as n2b-train leaves one."""
    work = tmp_path_factory.mktemp("int8")
    rng = np.random.default_rng(0)
    for i in range(4):
        shading = 100 + 60 * np.sin(np.arange(256) / (4 + 10 * i))
        pixels = np.clip(shading[:, None, None] + 8 * rng.standard_normal((256, 256, 3)), 0, 255)
        write_image(work / "noisy" / f"{i}.png", Image(pixels.astype(np.uint8)))
    torch.manual_seed(4)
    run = work / "run"
    TrainConfig(noisy=(str(work / "noisy"),), arch="edge", steps=1).save(run)
    state = {"networks": {"denoiser": EdgeNet().state_dict()}, "trained": {"noise": "real"}}
    save_checkpoint(run / "checkpoint.pt", {**state, "config": {"arch": "edge"}})
    return run


def test_a_run_is_calibrated_on_its_own_noisy_images(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (str(run), "--int8", "--calib-tiles", "6", "--dynamic", "--target", "none", "--no-verify")
    assert run_in(tmp_path, monkeypatch, *arguments) == 0
    out = capsys.readouterr().out
    assert "calibrating on the run's noisy images" in out
    assert "loss of PSNR by INT8 in one layer alone" in out
    assert "model.int8-cpu.onnx" in out and "report.html" in out
    _, info = read_onnx(tmp_path / "exports" / "latest" / "model.int8.onnx")
    names = info.calibration["tiles"]["names"]
    assert names and all(name.split()[0] in ("0.png", "1.png", "2.png", "3.png") for name in names)


def test_the_password_of_a_camera_to_calibrate_on_is_in_no_file_and_never_shown(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    address, shown = "rtsp://me:p@SECRET@127.0.0.1/v?pwd=SEC/RET", "rtsp://…@127.0.0.1/v?pwd=…"
    opened: list[str] = []

    def frames(camera: Input) -> Iterator[Frame]:
        opened.append(camera.address)
        noise = np.random.default_rng(0)
        for index in range(10**6):
            pixels = noise.integers(90, 160, (256, 256, 3), np.uint8)
            yield Frame(pixels, camera.shown_name, index, index * 400_000_000)

    monkeypatch.setattr(video, "camera_frames", frames)
    arguments = ("--int8", "--calib", address, "--calib-tiles", "2", "--calib-method", "minmax")
    assert run_in(tmp_path, monkeypatch, str(run), *arguments, *QUICK) == 0
    assert opened == [address]
    said = "".join(capfd.readouterr())
    assert f"recording {shown} for" in said
    assert f"calibrating on {shown}" in said
    assert not re.search("SEC/?RET", said)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert "report.html" in {path.name for path in files}
    assert not [path for path in files if re.search(b"SEC/?RET", path.read_bytes() + str(path).encode())]


@pytest.mark.skipif(not sample_photographs(), reason="no sample photographs are installed")
def test_without_torch_an_onnx_file_becomes_int8(tmp_path: Path) -> None:
    arguments = [str(bundled_models()["camera"]), "--int8", "--calib-tiles", "4", "--calib-method", "minmax"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *arguments, *QUICK],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with Denoiser(tmp_path / "out", precision="int8", device="cpu", backend="onnxruntime") as denoise:
        assert (denoise.precision, denoise.model.name) == ("int8", "model.int8-cpu.onnx")
    assert "calibrating on sample photographs; name images of your camera" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--calib", "noisy"), "--calib and --ranges are for INT8; add --int8"),
        (("--int8", "--calib", "nowhere"), "no such file or folder"),
        (("--int8", "--calib-tiles", "0"), "must be at least 1"),
        (("--int8", "--calib-method", "guess"), "'guess' is not one of 'percentile', 'minmax', 'entropy'"),
        (("--int8", "--ranges", "none.json"), "leave out --ranges"),
    ],
)
def test_a_mistake_ends_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    complaint: str,
) -> None:
    assert run_in(tmp_path, monkeypatch, "camera", *arguments, *QUICK) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert complaint in last
    assert not (tmp_path / "out").exists()
