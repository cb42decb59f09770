"""Other forms of bundled models: INT8 for CPUs, and an edge network that learns from one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from n2b.runtime import Image, read_image, write_image
from n2b.training.checkpoint import load_checkpoint

from benchmarks import distill
from benchmarks.bundle_int8 import calibration_images


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    y, x = np.mgrid[:160, :160]
    pixels = np.stack([x, y, (x + y) / 2], axis=-1).astype(np.uint8)
    path = tmp_path / "data" / "clean" / "a.png"
    write_image(path, Image(pixels))
    return path


def test_a_model_is_calibrated_on_the_noise_that_it_was_trained_on(photograph: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    folder = calibration_images("gaussian:20", data, tmp_path)
    noise = read_image(folder / "a.png").pixels - read_image(photograph).pixels.astype(float)
    assert folder.name == "clean with gaussian 20" and 12 < noise.std() < 25
    assert calibration_images("real", data, tmp_path) == data / "polyu" / "noisy"


def test_a_distillation_ends_with_a_checkpoint_and_goes_on_from_it(photograph: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = [
        "camera",
        "--noise",
        "gaussian:20",
        "--clean",
        str(photograph),
        "--out",
        str(run),
        "--batch",
        "1",
    ]
    assert distill.main([*words, "--minutes", "0.01"]) == 0
    first = load_checkpoint(run)
    assert first["trained"]["method"] == "distillation" and first["trained"]["of"] == "camera"
    assert distill.main([*words, "--minutes", "0.02"]) == 0
    assert load_checkpoint(run)["position"]["step"] > first["position"]["step"] > 0
