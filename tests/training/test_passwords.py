"""The password of a camera that a training records is in no file of the run, and never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..runtime.fakes.cameras import GOOD, FakeCameras
from .conftest import Train, save_images

ADDRESSES = [
    "rtsp://me:p@SECRET@127.0.0.1/1",
    "rtsp://me:SEC/RET@127.0.0.1/1",
    "http://127.0.0.1/v?user=me&pwd=SECRET",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_run_s_files_and_messages_hide_it(
    address: str, tmp_path: Path, n2b_train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    cameras = FakeCameras([GOOD] * 10_000)
    cameras.size_hw = [(40, 48)]
    monkeypatch.setattr("cv2.VideoCapture", cameras)
    save_images(tmp_path / "clean", 2, 5)
    status, out, errors = n2b_train(
        "--noisy", address, "--clean", "clean", "--record", "0.6", "--filter", "mean:3", "--arch", "edge",
        "--steps", "1", "--batch", "1", "--patch", "32", "--device", "cpu", "--no-noise-model",
        "--init", "none", "--out", "run",
    )  # fmt: skip
    assert status == 0, errors
    assert cameras.opened[0][0] == address
    assert "recording" in errors
    secret = "SEC/RET" if "SEC/RET" in address else "SECRET"
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert {"config.json", "checkpoint.pt", "index.html"} <= {path.name for path in files}
    assert not [path for path in files if secret.encode() in path.read_bytes()]
    assert not [path for path in files if secret in path.name]
    assert secret not in out + errors
