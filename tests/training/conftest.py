"""Smooth random images that need no download."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from n2b.runtime.images.image import Image, write_image
from n2b.training.cli import main

Train = Callable[..., tuple[int, str, str]]


def smooth_image(seed: int, height: int = 96, width: int = 80) -> np.ndarray:
    """Return a smooth random colour image, uint8 (H, W, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width][:, :, :, None] / 20
    phase, turn = rng.uniform(0, 6, 3), rng.uniform(-1, 1, 3)
    return np.rint(127 + 100 * np.sin(x * turn + y + phase)).astype(np.uint8)


def save_images(folder: Path, count: int, first_seed: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        write_image(folder / f"{index}.png", Image(smooth_image(first_seed + index)))
    return folder


def save_video(path: Path, count: int, green_step: int) -> Path:
    """Write frames of 64×48 px, 25 a second, each greener than the one before."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (64, 48))  # type: ignore[attr-defined]
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no video")
    for number in range(count):
        writer.write(np.full((48, 64, 3), (0, number * green_step, 200), np.uint8))
    writer.release()
    return path


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """A folder of six photographs."""
    return save_images(tmp_path / "images", 6)


@pytest.fixture
def n2b_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Train:
    """n2b_train(*arguments) → (exit status, stdout, stderr), run in this process and in `tmp_path`."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["n2b-train", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, printed.out, printed.err

    return run


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give torch one thread, here and in new processes: the order of sums depends on their number."""
    count = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield
    torch.set_num_threads(count)
