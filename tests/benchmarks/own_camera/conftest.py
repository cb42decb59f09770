"""Tiny synthetic sets, and trainings that leave an untrained network."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from n2b.runtime.images.image import Image, write_image
from n2b.training.checkpoint import CHECKPOINT_NAME

from benchmarks.own_camera import methods
from benchmarks.subprocesses import Usage

from .networks import SIDE_PX, save_untrained


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three noisy images of a camera, one of them with a foreign reference, and two of a microscope."""
    rng = np.random.default_rng(0)
    for number in range(3):
        clean = _photograph(number, rng)
        noisy = np.clip(clean + 8 * rng.standard_normal(clean.shape), 0, 255).astype(np.uint8)
        folder = tmp_path / "data" / "polyu"
        write_image(folder / "noisy" / f"Sony_{number}.png", Image(noisy))
        write_image(folder / "clean" / f"Sony_{number}.png", Image(255 - clean if number == 2 else clean))
        if number < 2:
            folder = tmp_path / "data" / "real" / "w2s_microscopy"
            write_image(folder / "noisy" / f"{number}.png", Image(noisy[..., :1].repeat(3, axis=2)))
            write_image(folder / "clean" / f"{number}.png", Image(clean[..., :1] // 2 + 40))
    write_image(tmp_path / "data" / "clean" / "0.png", Image(_photograph(5, rng)))
    return tmp_path / "data"


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that were asked for; n2b-train leaves an untrained network."""
    asked: list[list[str]] = []

    def run(command: list[str], *, log: Path, cwd: Path, environment: dict[str, str]) -> Usage:
        assert environment["OMP_NUM_THREADS"] == "1" and log.parent.is_dir() and cwd.is_dir()
        asked.append(command)
        save_untrained(Path(command[command.index("--out") + 1]) / CHECKPOINT_NAME, seed=0)
        return Usage(10, 9)

    monkeypatch.setattr(methods, "run_logged", run)
    monkeypatch.setattr(os, "sched_setaffinity", lambda *_: None, raising=False)
    return asked


def _photograph(number: int, rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    grey = 120 + 60 * np.sin(x / (5 + number)) + 10 * rng.standard_normal((SIDE_PX, SIDE_PX))
    return np.clip(np.stack([grey, grey + y, grey - y], axis=2), 0, 255).astype(np.uint8)
