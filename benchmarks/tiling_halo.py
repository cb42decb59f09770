"""How far tiled results are from whole-image results, by the halo: the evidence for a model's default halo.

python benchmarks/tiling_halo.py MODEL IMAGES… [--tile 512] [--noise 25]

MODEL is an ONNX file of open size; one of float32 io (n2b-export --dynamic --io float32) shows differences
below one grey level, which rounding hides or blows up to a whole one. Differences are in grey levels of 255.
The smallest halo whose 99.99th percentile stays under one level is what `default_halo_px` should be.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from n2b.runtime import Denoiser
from n2b.runtime.image import read_image, to_float
from n2b.runtime.sources import find_images

HALOS_PX = (0, 16, 32, 48, 64, 96, 128, 160)
PERCENTILE = 99.99


def main() -> None:
    """Print one line a halo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("images", nargs="+")
    parser.add_argument("--tile", type=int, default=512, help="side of the tiles in px, halo included")
    parser.add_argument("--noise", type=float, default=0, help="σ of Gaussian noise to add, in levels of 255")
    arguments = parser.parse_args()
    pictures = [read_image(path).pixels for path in find_images(arguments.images)]

    with Denoiser(arguments.model, tile=0) as denoise:
        io, reach_px = denoise.info.io, denoise.info.receptive_radius_px
        pictures = [prepare(picture, arguments.noise, io, seed) for seed, picture in enumerate(pictures)]
        whole = [denoise(picture) for picture in pictures]

    megapixels = sum(picture.shape[0] * picture.shape[1] for picture in pictures) / 1e6
    print(f"{arguments.model} ({io}, reach {reach_px} px), tiles of {arguments.tile} px, "
          f"{len(pictures)} images, {megapixels:.1f} MP")  # fmt: skip
    print(f"{'halo/px':>7}  {'largest':>8}  {f'{PERCENTILE} %':>8}  {'mean':>8}  {'computed/kept':>13}")
    for halo_px in HALOS_PX:
        with Denoiser(arguments.model, tile=arguments.tile, halo_px=halo_px) as denoise:
            levels = np.concatenate(
                [
                    differences(denoise(picture), result)
                    for picture, result in zip(pictures, whole, strict=True)
                ]
            )
            plans = [denoise.plan(*picture.shape[:2]) for picture in pictures]
        cost = sum(plan.computed_px for plan in plans) / (megapixels * 1e6)
        high = np.percentile(levels, PERCENTILE)
        print(
            f"{halo_px:7}  {levels.max():8.3f}  {high:8.3f}  {levels.mean():8.4f}  {cost:13.2f}", flush=True
        )


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
