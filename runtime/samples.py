"""Find the sample photographs in scikit-image and scikit-learn, without importing either."""

from __future__ import annotations

import importlib.util
from pathlib import Path

# package → its colour photographs, the most varied first
_PHOTOGRAPHS = {
    "skimage": ("data/astronaut.png", "data/coffee.png", "data/chelsea.png", "data/rocket.jpg"),
    "sklearn": ("datasets/images/china.jpg", "datasets/images/flower.jpg"),
}


def sample_photographs() -> list[Path]:
    """Return the paths of the installed colour photographs (about 400×600 px, 8 bit); may be empty."""
    photographs: list[Path] = []
    for package, names in _PHOTOGRAPHS.items():
        spec = importlib.util.find_spec(package)
        for root in (spec.submodule_search_locations or []) if spec else []:
            photographs += [path for name in names if (path := Path(root) / name).is_file()]
    return photographs
