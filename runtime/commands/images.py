"""n2b-infer over images."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from ..errors import UserError
from .session import open_session, progress_bar, read_dark
from .settings import DenoiserOptions

if TYPE_CHECKING:
    from ..denoiser import Denoiser
    from ..images.dark import DarkFrame
    from ..inference.executor import Progress
    from ..pipelines.job import Job
    from ..pipelines.result import ImageReport
    from .jobs import Plan
    from .report import RunReport


def run_images(
    plan: Plan, options: DenoiserOptions, *, skip_existing: bool = False
) -> tuple[Denoiser, RunReport]:
    """Denoise images; one that fails is reported and the rest is done.

    Raises:
        UserError: the only image there is cannot be denoised.
    """
    large, memory_mb, options = find_large_jobs(plan.jobs, options)
    dark, keeps_manifest = read_dark(options.dark, options.white_level), plan.keeps_manifest or skip_existing
    with open_session(options, keeps_manifest=keeps_manifest, dark=dark) as session:
        jobs = session.remaining(plan.jobs, skip_existing=skip_existing)
        with progress_bar(len(jobs)) as on_progress:
            images = denoise_jobs(
                jobs, session.denoiser, options, dark, on_progress,
                is_large=large.__contains__, memory_mb=memory_mb,
            )  # fmt: skip
            session.record(_raising(images) if len(plan.jobs) == 1 else images, jobs)
    return session.denoiser, session.report


def _raising(images: Iterator[ImageReport]) -> Iterator[ImageReport]:
    """Raise the error of the only image."""
    for image in images:
        if image.error is not None:
            raise image.error
        yield image


def find_large_jobs(jobs: list[Job], options: DenoiserOptions) -> tuple[list[Job], float, DenoiserOptions]:
    """Return the jobs whose images do not fit into memory, the memory in MB, and options that fit it."""
    from ..inference.tile_size import default_memory_mb
    from ..pipelines.strips import STRIPS_MEMORY_MB, find_large

    memory_mb = options.max_memory or default_memory_mb()
    # With --tile 0 whole images are asked for, whatever memory they take.
    large = [] if options.tile == 0 else find_large(jobs, memory_mb)
    if large and options.max_memory is None:
        memory_mb = min(memory_mb, STRIPS_MEMORY_MB)
        options = dataclasses.replace(options, max_memory=memory_mb)
    return large, memory_mb, options


def denoise_jobs(
    jobs: Iterable[Job], denoiser: Denoiser, options: DenoiserOptions, dark: DarkFrame | None,
    on_progress: Progress, *, is_large: Callable[[Job], bool], memory_mb: float,
) -> Iterator[ImageReport]:  # fmt: skip
    """Denoise images that fit into memory, then those that do not, in strips; one that fails is reported.

    Args:
        jobs: taken as they are read, in another thread.
        is_large: return True for a job to be done in strips.
        memory_mb: of the strips.
    """
    from ..pipelines.images import denoise_files
    from ..pipelines.result import ImageReport
    from ..pipelines.strips import denoise_by_strips

    strength, level = options.strength, options.white_level
    large: list[Job] = []

    def whole() -> Iterator[Job]:
        for job in jobs:
            if is_large(job):
                large.append(job)
            else:
                yield job

    yield from denoise_files(
        whole(), denoiser, strength=strength, on_progress=on_progress, dark=dark, white_level=level
    )
    for job in large:
        try:
            yield denoise_by_strips(job, denoiser, strength, on_progress, memory_mb, dark, level)
        except UserError as error:
            yield ImageReport(str(job.source), error=error)
