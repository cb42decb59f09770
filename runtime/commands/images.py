"""n2b-infer over images: what is to be done, done with a progress bar."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from .session import open_denoiser

if TYPE_CHECKING:
    from ..denoiser import Denoiser
    from ..pipelines.images import Progress
    from ..pipelines.job import Job
    from ..pipelines.result import ImageReport
    from .manifest import Finished
    from .report import RunReport

_logger = logging.getLogger(__name__)


def plan_files(
    inputs: list[str],
    out: Path | None,
    suffix: str | None,
    ext: str | None,
    reference: Path | None,
) -> list[Job]:
    """What to do."""
    from .jobs import plan_jobs

    if not inputs:
        raise UserError("nothing to denoise: name image files, folders or globs, or a camera with --camera 0")
    if reference is not None and not reference.is_dir():
        raise UserError(f"{reference} is no folder; --reference takes a folder of clean images")
    return plan_jobs(inputs, out=out, suffix=suffix, ext=ext, reference=reference)


def run_files(
    jobs: list[Job],
    strength: float,
    options: dict[str, Any],
    *,
    keeps_record: bool = False,
    skip_existing: bool = False,
) -> tuple[Denoiser, RunReport]:
    """Denoise images.

    Args:
        jobs: what to do.
        strength: as Denoiser takes it.
        options: its arguments.
        keeps_record: note beside the results what they are made of.
        skip_existing: leave out what is finished by that record, which is then kept too.

    Raises:
        UserError: the one image there is cannot be denoised; of several each is reported.
    """
    from ..inference.tile_size import default_memory_mb
    from ..pipelines.strips import STRIPS_MEMORY_MB, find_large
    from .manifest import model_identities
    from .report import RunReport

    memory_mb = options["max_memory"] or default_memory_mb()
    # With --tile 0 whole images are asked for, whatever memory they take.
    large = [] if options.get("tile") == 0 else find_large(jobs, memory_mb)
    if large and options["max_memory"] is None:
        options = options | {"max_memory": min(memory_mb, STRIPS_MEMORY_MB)}
    before = model_identities(options["model"])
    with open_denoiser(options) as denoiser:
        report, left, finished = RunReport(), jobs, None
        if keeps_record or skip_existing:
            finished = open_record(denoiser, before, options, {"strength": strength})
        if finished is not None and skip_existing:
            left = finished.leave_out(jobs, report)
        with progress_bar(len(left)) as on_progress:
            images = _denoise(
                left, large, denoiser, strength, options["max_memory"] or memory_mb, on_progress
            )
            for image in images if finished is None else finished.recording(images, left):
                if image.error is not None and len(jobs) == 1:
                    raise image.error
                report.add(image)
                if image.error is not None:
                    _logger.warning(f"left out: {image.reason}")
    return denoiser, report


def open_record(
    denoiser: Denoiser,
    before: dict[Path, Any],
    options: dict[str, Any],
    settings: dict[str, Any],
    folder: Path | None = None,
) -> Finished:
    """The record of what a model that has just been loaded makes.

    Args:
        denoiser: the model.
        before: what `model_identities` said before it was loaded.
        options: the arguments of Denoiser.
        settings: what else results depend on.
        folder: as Finished takes it.

    Raises:
        ModelError: the model's file was replaced meanwhile.
    """
    from .manifest import Finished, Recipe, sha256_of_loaded

    sha256 = sha256_of_loaded(denoiser.model, before, may_be_rebuilt=options.get("rebuild") == "auto")
    settings = settings | {
        "precision": denoiser.precision,
        "halo_px": denoiser.halo_px,
        "allow_8bit": denoiser.allow_8bit,
    }
    return Finished(Recipe(sha256, settings), folder)


def _denoise(
    jobs: list[Job], large: list[Job], denoiser: Denoiser, strength: float, memory_mb: float,
    on_progress: Progress,
) -> Iterator[ImageReport]:  # fmt: skip
    """Those that fit into memory first, then those that do not."""
    from ..pipelines.images import denoise_files
    from ..pipelines.result import ImageReport
    from ..pipelines.strips import denoise_by_strips

    whole = [job for job in jobs if job not in large]
    yield from denoise_files(whole, denoiser, strength=strength, on_progress=on_progress)
    for job in jobs:
        if job not in large:
            continue
        try:
            yield denoise_by_strips(job, denoiser, strength, on_progress, memory_mb)
        except UserError as error:
            yield ImageReport(str(job.source), error=error)


@contextmanager
def progress_bar(images: int) -> Iterator[Progress]:
    """A bar on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        BarColumn(),
        TextColumn("{task.completed:.1f} of {task.total} images"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=images)
        finished = 0

        def on_progress(part: float) -> None:
            nonlocal finished
            finished += part == 1
            bar.update(task, completed=finished + part % 1)

        yield on_progress
