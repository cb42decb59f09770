"""Denoise many images, and report what was done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..denoiser import Denoiser
from ..images.dark import DarkFrame
from ..images.image import Image, read_image, write_image
from ..images.metrics import psnr, ssim
from ..inference.executor import Progress
from .job import Job
from .result import ImageReport, Quality
from .stages import run_overlapped

_Denoised = tuple[Image, np.ndarray]  # a result to be written, and the pixels before


def denoise_files(
    jobs: Iterable[Job],
    denoiser: Denoiser,
    *,
    strength: float,
    on_progress: Progress,
    dark: DarkFrame | None = None,
    white_level: float | None = None,
) -> Iterator[ImageReport]:
    """Read, denoise and write images, these three side by side.

    Args:
        jobs: what to do; taken one by one, by the thread that reads.
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
        image = read_image(job.source, white_level=white_level)
        denoiser.check(image.pixels)
        return image if dark is None else image.with_pixels(dark.subtract(image.pixels, str(job.source)))

    def infer(images: Iterator[tuple[Any, Image]]) -> Iterator[tuple[Any, _Denoised, dict[str, float]]]:
        items = (((key, image), image.pixels) for key, image in images)
        for (key, noisy), clean, ms in denoiser.denoise_each(items, strength, on_progress=on_progress):
            yield key, (noisy.with_pixels(clean), noisy.pixels), ms

    for outcome in run_overlapped(jobs, read=read, infer=infer, write=_write):
        if outcome.error is not None:
            yield ImageReport(str(outcome.item.source), error=outcome.error)
        else:
            yield replace(outcome.value, ms=outcome.ms)


def _write(job: Job, denoised: _Denoised) -> ImageReport:
    image, noisy = denoised
    write_image(job.destination, image)
    height, width = image.pixels.shape[:2]
    report = ImageReport(str(job.source), str(job.destination), height, width, warnings=image.warnings)
    if job.reference is not None:
        reference = read_image(job.reference, white_level=image.white_level).pixels
        report.noisy = _quality(noisy, reference)
        report.denoised = _quality(image.pixels, reference)
    return report


def _quality(pixels: np.ndarray, reference: np.ndarray) -> Quality:
    return Quality(psnr(pixels, reference), ssim(pixels, reference))
