"""The sample photographs that ship inside scikit-image and scikit-learn, found without importing either."""

from __future__ import annotations

import importlib.util
from pathlib import Path

# package → its colour photographs, in an order that puts varied content first
_PHOTOGRAPHS = {
    "skimage": ("data/astronaut.png", "data/coffee.png", "data/chelsea.png", "data/rocket.jpg"),
    "sklearn": ("datasets/images/china.jpg", "datasets/images/flower.jpg"),
}


def sample_photographs() -> list[Path]:
    """Paths of the colour photographs (about 400×600 px, 8 bit) that are installed; may be empty."""
    found: list[Path] = []
    for package, names in _PHOTOGRAPHS.items():
        spec = importlib.util.find_spec(package)
        for root in (spec.submodule_search_locations or []) if spec else []:
            found += [path for name in names if (path := Path(root) / name).is_file()]
    return found
