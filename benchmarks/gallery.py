"""Render the gallery of the documentation: noisy and denoised crops of scikit-image's photographs.

python -m benchmarks.gallery     # writes docs/gallery.md and docs/images/gallery
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import skimage
from n2b.runtime import Denoiser, Image, psnr, read_image, ssim, write_image

from benchmarks.noisy_images import add_noise

DOCS = Path(__file__).parent.parent / "docs"
_HEADER = """# Gallery

Move the slider: noisy on the left, denoised on the right. The photographs are samples of scikit-image, in the
public domain. `python -m benchmarks.gallery` adds the noise and writes this page.
"""


@dataclass(frozen=True)
class Exhibit:
    """One pair of the gallery; `crop_px` is top, left, height, width."""

    photograph: str
    title: str
    crop_px: tuple[int, int, int, int]
    model: str
    noise: Callable[[np.ndarray], np.ndarray]


def camera_noise(clean: np.ndarray) -> np.ndarray:
    """Add noise like that of a camera's JPEG files: more in bright parts, correlated over space and channels.

    Its σ is √(9 + 0.6 · brightness) grey levels, 3 in black and 13 in white.
    """
    random = np.random.default_rng(0)
    common, own = (random.standard_normal((*clean.shape[:2], channels), np.float32) for channels in (1, 3))
    noise = cv2.GaussianBlur(0.5 * common + own, (0, 0), 0.8)
    noise /= noise.std()
    return np.clip(np.rint(clean + noise * np.sqrt(9 + 0.6 * clean)), 0, 255).astype(np.uint8)


EXHIBITS = (
    Exhibit("coffee.png", "White Gaussian noise, σ = 25", (40, 150, 352, 384), "gaussian", add_noise),
    Exhibit(
        "chelsea.png",
        "White Gaussian noise, σ = 50",
        (0, 20, 300, 384),
        "gaussian",
        lambda clean: add_noise(clean, sigma=50),
    ),
    Exhibit("rocket.jpg", "Noise like that of a camera", (30, 130, 352, 384), "camera", camera_noise),
    Exhibit(
        "motorcycle_left.png", "Noise like that of a camera", (60, 200, 352, 384), "camera", camera_noise
    ),
)


def main() -> None:
    """Write the page and its images."""
    page = _HEADER + "".join(render(exhibit, DOCS / "images/gallery") for exhibit in EXHIBITS)
    (DOCS / "gallery.md").write_text(page)


def render(exhibit: Exhibit, folder: Path) -> str:
    """Write `NAME-noisy.jpg` and `NAME-denoised.jpg`; return the section of the page that shows them."""
    top, left, height, width = exhibit.crop_px
    clean = read_image(Path(skimage.__file__).parent / "data" / exhibit.photograph).pixels
    clean = np.ascontiguousarray(clean[top : top + height, left : left + width])
    noisy = exhibit.noise(clean)
    with Denoiser(exhibit.model, backend="onnxruntime") as denoise:
        denoised = denoise(noisy)
    name = Path(exhibit.photograph).stem
    for what, pixels in (("noisy", noisy), ("denoised", denoised)):
        write_image(folder / f"{name}-{what}.jpg", Image(pixels), jpeg_quality=82)
    figures = (f"{psnr(image, clean):.1f} dB, SSIM {ssim(image, clean):.3f}" for image in (noisy, denoised))
    return f"""
## {name.replace("_", " ").capitalize()}

{exhibit.title}, by the model `{exhibit.model}`: {" → ".join(figures)}.

<div class="comparison" markdown>
![{name}, noisy](images/gallery/{name}-noisy.jpg)
![{name}, denoised](images/gallery/{name}-denoised.jpg)
</div>
"""


if __name__ == "__main__":
    main()
