"""n2b-infer over images."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..errors import UserError
from .session import open_session, progress_bar
from .settings import DenoiserOptions

if TYPE_CHECKING:
    from ..denoiser import Denoiser
    from ..images.dark import DarkFrame
    from ..pipelines.images import Progress
    from ..pipelines.job import Job
    from ..pipelines.result import ImageReport
    from .report import RunReport


def run_images(
    jobs: list[Job],
    strength: float,
    options: DenoiserOptions,
    *,
    keeps_manifest: bool = False,
    skip_existing: bool = False,
    dark: DarkFrame | None = None,
) -> tuple[Denoiser, RunReport]:
    """Denoise images; one that fails is reported and the rest is done.

    Args:
        jobs: what to do.
        strength: as Denoiser takes it.
        options: of the denoiser.
        keeps_manifest: record in the folder of results what each was made from.
        skip_existing: leave out what the manifest shows as finished; it is then kept too.
        dark: frame to subtract first.

    Raises:
        UserError: the only image there is cannot be denoised.
    """
    from ..inference.tile_size import default_memory_mb
    from ..pipelines.strips import STRIPS_MEMORY_MB, find_large

    memory_mb = options.max_memory or default_memory_mb()
    # With --tile 0 whole images are asked for, whatever memory they take.
    large = [] if options.tile == 0 else find_large(jobs, memory_mb)
    if large and options.max_memory is None:
        memory_mb = min(memory_mb, STRIPS_MEMORY_MB)
        options = dataclasses.replace(options, max_memory=memory_mb)
    settings = {"strength": strength} if keeps_manifest or skip_existing else None
    with open_session(options, settings=settings, dark=dark) as session:
        remaining = session.remaining(jobs, skip_existing=skip_existing)
        with progress_bar(len(remaining)) as on_progress:
            images = _denoise(remaining, large, session.denoiser, strength, memory_mb, on_progress, dark)
            session.record(_raising(images) if len(jobs) == 1 else images, remaining)
    return session.denoiser, session.report


def _raising(images: Iterator[ImageReport]) -> Iterator[ImageReport]:
    """Raise the error of the only image."""
    for image in images:
        if image.error is not None:
            raise image.error
        yield image


def _denoise(
    jobs: list[Job], large: list[Job], denoiser: Denoiser, strength: float, memory_mb: float,
    on_progress: Progress, dark: DarkFrame | None,
) -> Iterator[ImageReport]:  # fmt: skip
    """Denoise those that fit into memory, then those that do not."""
    from ..pipelines.images import denoise_files
    from ..pipelines.result import ImageReport
    from ..pipelines.strips import denoise_by_strips

    whole = [job for job in jobs if job not in large]
    yield from denoise_files(whole, denoiser, strength=strength, on_progress=on_progress, dark=dark)
    for job in jobs:
        if job not in large:
            continue
        try:
            yield denoise_by_strips(job, denoiser, strength, on_progress, memory_mb, dark)
        except UserError as error:
            yield ImageReport(str(job.source), error=error)
