"""Smooth random images that need no download."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from n2b.runtime.images.image import Image, write_image


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


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """A folder of six photographs."""
    return save_images(tmp_path / "images", 6)
