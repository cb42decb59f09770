"""Add noise to two sample photographs, denoise them with the bundled model, and show one side by side."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from n2b.runtime import Denoiser, Image, psnr, read_image, write_image
from n2b.runtime.samples import sample_photographs

SIGMA = 25  # standard deviation of the noise on the 0..255 scale
FOLDER = Path("demo")
NOISY = ("coffee", "rocket")  # the other photographs are left clean, for a training of one's own


def main() -> None:
    """Write demo/comparison.png (noisy | denoised | clean), demo/noisy and demo/clean."""
    rng = np.random.default_rng(0)
    rows, timed = [], []
    with Denoiser("gaussian") as denoise:
        for path in sample_photographs():
            clean = read_image(path).pixels
            if path.stem not in NOISY:
                write_image(FOLDER / "clean" / f"{path.stem}.png", Image(clean))
                continue
            noise = SIGMA * rng.standard_normal(clean.shape)
            noisy = np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)
            write_image(FOLDER / "noisy" / f"{path.stem}.png", Image(noisy))
            started = time.perf_counter()
            rows.append((noisy, denoise(noisy), clean))
            timed.append(time.perf_counter() - started)
    noisy, denoised, clean = rows[0]
    write_image(FOLDER / "comparison.png", Image(np.concatenate(rows[0], axis=1)))
    height, width = clean.shape[:2]
    print(f"{denoise.backend} in {denoise.precision}", *denoise.passed_over, sep="; ")
    print(f"PSNR before {psnr(noisy, clean):.2f} dB, after {psnr(denoised, clean):.2f} dB")
    print(
        f"{width}×{height} px in {1e3 * timed[0]:.0f} ms; noisy | denoised | clean: {FOLDER}/comparison.png"
    )


if __name__ == "__main__":
    main()
