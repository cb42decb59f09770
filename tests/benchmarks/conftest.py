"""A folder of photographs to train on, one to measure on, and one of a camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from n2b.runtime.images.image import Image, write_image

from benchmarks.paper.settings import Settings

SIDE_PX = 40


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Small ones: two test images, four to train on, a camera of eight scenes."""
    rng = np.random.default_rng(0)
    for folder, count in (("data", 7), ("test", 5), ("camera/noisy", 8), ("camera/clean", 8)):
        for number in range(count):
            write_image(tmp_path / folder / f"{number}.png", Image(_photograph(number, rng)))
    return Settings(
        data=(tmp_path / "data",),
        test=tmp_path / "test",
        real=(tmp_path / "camera",),
        steps=3,
        batch=1,
        patch_px=32,
        arch="edge",
        noisy_images=3,
        clean_images=2,
        images=2,
        crop_px=24,
        wnnm_images=1,
        device="cpu",
    )


def _photograph(number: int, rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    grey = 120 + 60 * np.sin(x / (5 + number)) + 10 * rng.standard_normal((SIDE_PX, SIDE_PX))
    return np.clip(np.stack([grey, grey + y, grey - y], axis=2), 0, 255).astype(np.uint8)
