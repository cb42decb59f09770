"""Add noise to a sample photograph, denoise it with the bundled model, and show the three side by side."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from n2b.runtime import Denoiser
from n2b.runtime.images.image import Image, read_image, write_image
from n2b.runtime.images.metrics import psnr
from n2b.runtime.samples import sample_photographs

SIGMA = 25  # standard deviation of the noise on the 0..255 scale
RESULT = Path("demo.png")


def main() -> None:
    """Write demo.png: noisy | denoised | clean."""
    clean = read_image(sample_photographs()[0]).pixels
    noise = SIGMA * np.random.default_rng(0).standard_normal(clean.shape)
    noisy = np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)
    with Denoiser() as denoise:
        started = time.perf_counter()
        denoised = denoise(noisy)
        seconds = time.perf_counter() - started
    write_image(RESULT, Image(np.concatenate([noisy, denoised, clean], axis=1)))
    height, width = clean.shape[:2]
    print(f"PSNR before {psnr(noisy, clean):.2f} dB, after {psnr(denoised, clean):.2f} dB")
    print(f"{width}×{height} px in {1e3 * seconds:.0f} ms; noisy | denoised | clean: {RESULT}")


if __name__ == "__main__":
    main()
