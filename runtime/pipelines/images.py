"""Denoise many images, and report what was done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..denoiser import Denoiser
from ..images.dark import DarkFrame
from ..images.image import Image, read_image, write_image
from ..images.metrics import psnr, ssim
from .job import Job
from .result import ImageReport, Quality
from .stages import Outcome, run_overlapped

if TYPE_CHECKING:
    import numpy as np

Progress = Callable[[float], object]  # hears how much of an image is done, up to 1


def denoise_files(
    jobs: list[Job],
    denoiser: Denoiser,
    *,
    strength: float,
    on_progress: Progress,
    dark: DarkFrame | None = None,
) -> Iterator[ImageReport]:
    """Read, denoise and write images, these three side by side.

    Args:
        jobs: what to do.
        denoiser: the model.
        strength: as Denoiser takes it.
        on_progress: hears what part of an image is done.
        dark: frame to subtract from each image first.

    Yields:
        One report a job, in order. An image that fails is reported and the rest is done.

    Raises:
        EnvironmentFault: the machine failed; the images before are written.
    """

    def read(job: Job) -> Image:
        image = read_image(job.source)
        denoiser.check(image.pixels)
        return image if dark is None else image.with_pixels(dark.subtract(image.pixels, str(job.source)))

    def infer(images: Iterator[tuple[Any, Image]]) -> Iterator[tuple[Any, _Denoised, dict[str, float]]]:
        items = (((key, image), image.pixels) for key, image in images)
        for (key, noisy), clean, ms in denoiser.denoise_each(items, strength, on_progress=on_progress):
            yield key, _Denoised(noisy.with_pixels(clean), noisy.pixels), ms

    for outcome in run_overlapped(jobs, read=read, infer=infer, write=_write):
        yield _report(outcome)


@dataclass(frozen=True, eq=False)
class _Denoised:
    """A result to be written, and the pixels before."""

    image: Image
    noisy: np.ndarray


def _write(job: Job, denoised: _Denoised) -> ImageReport:
    image = denoised.image
    write_image(job.destination, image)
    height, width = image.pixels.shape[:2]
    report = ImageReport(str(job.source), str(job.destination), height, width)
    if job.reference is not None:
        reference = read_image(job.reference).pixels
        report.noisy = _quality(denoised.noisy, reference)
        report.denoised = _quality(image.pixels, reference)
    return report


def _quality(pixels: np.ndarray, reference: np.ndarray) -> Quality:
    return Quality(psnr(pixels, reference), ssim(pixels, reference))


def _report(outcome: Outcome[Job]) -> ImageReport:
    if outcome.error is not None:
        return ImageReport(str(outcome.item.source), error=outcome.error)
    report: ImageReport = outcome.value
    report.ms = outcome.ms
    return report
