"""Images that commands are tried on."""

from __future__ import annotations

from pathlib import Path

import pytest
from n2b.runtime.images.image import Image, write_image

from .images import random_image


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """photos/{a,b}.png and photos/trip/c.png."""
    folder = tmp_path / "photos"
    for seed, name in enumerate(("a.png", "b.png", "trip/c.png")):
        write_image(folder / name, Image(random_image(seed=seed)))
    return folder
