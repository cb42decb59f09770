"""How far tiled results are from whole-image results, by the halo: the evidence for a model's default halo.

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
from n2b.runtime.images.image import read_image, to_float
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
    pictures = [read_image(path).pixels for path in find_images(arguments.images)]

    with Denoiser(arguments.model, tile=0) as whole:
        io, reach_px = whole.info.io, whole.info.receptive_radius_px
        print(
            f"{arguments.model} ({io}, reach {reach_px} px), {len(pictures)} images, σ = {arguments.noise:g}"
        )
        print(
            f"{'halo/px':>7}  {'tile/px':>7}  {'MP':>5}  {'largest':>8}  {f'{PERCENTILE} %':>8}  {'mean':>8}"
        )
        pictures = [prepare(picture, arguments.noise, io, seed) for seed, picture in enumerate(pictures)]
        for halo_px in HALOS_PX:
            tile_px = 2 * halo_px + arguments.kept
            crops = [crop(picture, tile_px, arguments.kept) for picture in pictures]
            with Denoiser(arguments.model, tile=tile_px, halo_px=halo_px) as tiled:
                levels = np.concatenate([differences(tiled(picture), whole(picture)) for picture in crops])
            print(
                f"{halo_px:7}  {tile_px:7}  {levels.size / 3e6:5.2f}  {levels.max():8.3f}  "
                f"{np.percentile(levels, PERCENTILE):8.3f}  {levels.mean():8.4f}",
                flush=True,
            )


def crop(picture: np.ndarray, tile_px: int, kept_px: int) -> np.ndarray:
    """The largest part of the picture, from its corner, that a whole number of tiles covers."""
    height, width = (side - (side - tile_px) % kept_px for side in picture.shape[:2])
    if height < tile_px or width < tile_px:
        raise SystemExit(f"an image of {picture.shape[1]}×{picture.shape[0]} px is too small for this")
    return picture[:height, :width]


def prepare(picture: np.ndarray, sigma: float, io: str, seed: int) -> np.ndarray:
    """The picture with noise, as the model takes it: uint8, or float32 in [0, 1]."""
    noise = np.random.default_rng(seed).normal(0, sigma / 255, picture.shape)
    noisy = np.clip(to_float(picture) + noise, 0, 1)
    return np.rint(255 * noisy).astype(np.uint8) if io == "uint8" else noisy.astype(np.float32)


def differences(tiled: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Absolute differences of all values, in levels of 255."""
    scale = 255 if tiled.dtype == np.float32 else 1
    return np.abs(tiled.astype(np.float32) - whole.astype(np.float32)).ravel() * scale


if __name__ == "__main__":
    main()
