"""Noisy copies of clean photographs, the same at every call: what n2b-infer --reference is measured on.

python benchmarks/add_noise.py CLEAN_DIR NOISY_DIR --noise gaussian:25

Any noise that n2b-train takes will do. The copies are 8-bit RGB, whatever the photographs are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from n2b.runtime.images.convert import from_float, to_float
from n2b.runtime.images.image import Image, read_image, write_image
from n2b.runtime.sources import find_images
from n2b.training.noise import parse_noise


def main() -> None:
    """Write NOISY_DIR/<name>.png for each image of CLEAN_DIR."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clean", type=Path)
    parser.add_argument("noisy", type=Path)
    parser.add_argument("--noise", default="gaussian:25")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    noise = parse_noise(arguments.noise)
    for index, path in enumerate(find_images([arguments.clean])):
        clean = from_float(to_float(read_image(path).pixels), np.uint8)
        colour = np.repeat(clean, 3, axis=2) if clean.shape[2] == 1 else clean
        noisy = noise(colour, np.random.default_rng([arguments.seed, index]))
        write_image(arguments.noisy / f"{path.stem}.png", Image(noisy))


if __name__ == "__main__":
    main()
