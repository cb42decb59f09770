"""Measure the error of tiled results by the overlap: the evidence for a model's default overlap.

python benchmarks/tiling_halo.py MODEL IMAGES… [--kept 128] [--noise 25]

MODEL is an ONNX file of open size; one of float32 io (n2b-export --dynamic --io float32) shows differences
below one grey level, which rounding hides or blows up to a whole one. Differences are in grey levels of 255.
The smallest halo whose 99.99th percentile stays under one level is what `default_halo_px` should be.

Images are cropped, for each halo, to a size that tiles fit without rest: otherwise the last tiles overlap by
more than the halo asks for, and the difference looks smaller than it is. Tiles keep few pixels, so that
many of them lie by a seam; larger tiles only do better.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from n2b.runtime import Denoiser
from n2b.runtime.images.convert import to_float
from n2b.runtime.images.image import read_image
from n2b.runtime.sources import find_images

HALOS_PX = (0, 16, 32, 48, 64, 96, 128, 160)
PERCENTILE = 99.99


def main() -> None:
    """Print one line a halo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("images", nargs="+")
    parser.add_argument("--kept", type=int, default=128, help="px of a tile that are kept, a multiple of 32")
    parser.add_argument("--noise", type=float, default=0, help="σ of Gaussian noise to add, in levels of 255")
    arguments = parser.parse_args()
    images = [read_image(path).pixels for path in find_images(arguments.images)]

    with Denoiser(arguments.model, tile=0) as whole:
        io, reach_px = whole.info.io, whole.info.receptive_radius_px
        print(f"{arguments.model} ({io}, reach {reach_px} px), {len(images)} images, σ = {arguments.noise:g}")
        print(
            f"{'halo/px':>7}  {'tile/px':>7}  {'MP':>5}  {'largest':>8}  {f'{PERCENTILE} %':>8}  {'mean':>8}"
        )
        images = [prepare(image, arguments.noise, io, seed) for seed, image in enumerate(images)]
        for halo_px in HALOS_PX:
            tile_px = 2 * halo_px + arguments.kept
            crops = [crop(image, tile_px, arguments.kept) for image in images]
            with Denoiser(arguments.model, tile=tile_px, halo_px=halo_px) as tiled:
                levels = np.concatenate([differences(tiled(image), whole(image)) for image in crops])
            print(
                f"{halo_px:7}  {tile_px:7}  {levels.size / 3e6:5.2f}  {levels.max():8.3f}  "
                f"{np.percentile(levels, PERCENTILE):8.3f}  {levels.mean():8.4f}",
                flush=True,
            )


def crop(image: np.ndarray, tile_px: int, kept_px: int) -> np.ndarray:
    """Return the largest part of the image, from its corner, that a whole number of tiles covers."""
    height, width = (side - (side - tile_px) % kept_px for side in image.shape[:2])
    if height < tile_px or width < tile_px:
        raise SystemExit(f"an image of {image.shape[1]}×{image.shape[0]} px is too small for this")
    return image[:height, :width]


def prepare(image: np.ndarray, sigma: float, io: str, seed: int) -> np.ndarray:
    """Return the image with noise in the model's type: uint8, or float32 in [0, 1]."""
    noise = np.random.default_rng(seed).normal(0, sigma / 255, image.shape)
    noisy = np.clip(to_float(image) + noise, 0, 1)
    return np.rint(255 * noisy).astype(np.uint8) if io == "uint8" else noisy.astype(np.float32)


def differences(tiled: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Absolute differences of all values, in levels of 255."""
    scale = 255 if tiled.dtype == np.float32 else 1
    return np.abs(tiled.astype(np.float32) - whole.astype(np.float32)).ravel() * scale


if __name__ == "__main__":
    main()
