"""Open the denoiser of a run, and keep account of its results: manifest, report, warnings."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..system.temporary import remove_abandoned

if TYPE_CHECKING:
    from ..denoiser import Denoiser
    from ..images.dark import DarkFrame
    from ..inference.executor import Progress
    from ..model_info import ModelInfo
    from ..pipelines.job import Job
    from ..pipelines.result import ImageReport
    from .manifest import Manifest
    from .opened_model import OpenModel
    from .report import RunReport
    from .settings import DenoiserOptions

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Session:
    """A denoiser in use, with the report of the run and the manifest of its results, if it keeps one."""

    denoiser: Denoiser
    report: RunReport
    manifest: Manifest | None
    dark: DarkFrame | None = None  # that is subtracted from the images first

    def remaining(self, jobs: list[Job], *, skip_existing: bool) -> list[Job]:
        """Return the jobs that are to be done: all, or those whose result is not in the manifest.

        What killed runs left in the folders of the results is removed.
        """
        for folder in {job.destination.parent for job in jobs}:
            remove_abandoned(folder)
        if self.manifest is None or not skip_existing:
            return jobs
        return self.manifest.leave_out(jobs, self.report)

    def record(self, images: Iterator[ImageReport], jobs: Sequence[Job]) -> None:
        """Run to the end, adding the report of each job to the manifest and to the run's report."""
        for image in images if self.manifest is None else self.manifest.recording(images, jobs):
            self.add(image)

    @contextmanager
    def recording(self, job: Job) -> Iterator[None]:
        """Add a job to the manifest if the block succeeds."""
        if self.manifest is not None:
            self.manifest.note(job)
        yield
        if self.manifest is not None:
            self.manifest.add(job)

    def add(self, image: ImageReport) -> None:
        """Add an image or frame to the report; warn of one that failed."""
        self.report.add(image)
        if image.error is not None:
            _logger.warning(f"left out: {image.reason}")


@contextmanager
def open_session(
    options: DenoiserOptions,
    *,
    keeps_manifest: bool,
    settings: Mapping[str, Any] | None = None,
    dark: DarkFrame | None = None,
    folder: Path | None = None,
    keep: int | None = None,
) -> Iterator[Session]:
    """Open the denoiser, and the manifest of what it makes.

    Args:
        keeps_manifest: record in the folder of results what each was made from.
        dark: frame that is subtracted from the images; the results depend on it too.
        folder: of the one manifest of all results; None: each folder of results has its own.
        keep: how many images or frames the report keeps details of; None: all.

    Raises:
        ModelError: the model's file was replaced while it was loaded.
    """
    from .manifest import Manifest, ManifestKey, model_identities, sha256_of_loaded, sha256_of_served
    from .report import RunReport

    is_file = options.backend != "triton"
    before = model_identities(options.model) if keeps_manifest and is_file else {}
    with open_denoiser(options, dark) as denoiser:
        manifest = None
        if keeps_manifest:
            may_be_rebuilt = options.rebuild == "auto"
            sha256 = (
                sha256_of_loaded(denoiser.model, before, may_be_rebuilt=may_be_rebuilt)
                if is_file
                else sha256_of_served(denoiser)
            )
            recorded = {**manifest_settings(options, denoiser, dark), **(settings or {})}
            manifest = Manifest(ManifestKey(sha256, recorded), folder)
        yield Session(denoiser, RunReport(keep=keep), manifest, dark)


def manifest_settings(
    options: DenoiserOptions, denoiser: Denoiser | OpenModel, dark: DarkFrame | None
) -> dict[str, Any]:
    """Return the settings that change a result by more than rounding, as the manifest records them."""
    return {
        "strength": options.strength,
        "precision": denoiser.precision,
        "halo_px": denoiser.halo_px,
        "allow_8bit": denoiser.allow_8bit,
        **({} if options.white_level is None else {"white_level": options.white_level}),
        **({} if dark is None else {"dark": dark.sha256}),
    }


@contextmanager
def open_denoiser(options: DenoiserOptions, dark: DarkFrame | None) -> Iterator[Denoiser]:
    """Open a denoiser, and log which model and backend it uses.

    Args:
        options: of the denoiser.
        dark: frame that is subtracted; without one, a warning is logged if the model was trained with one.
    """
    from ..denoiser import Denoiser
    from .report import model_line

    with Denoiser(**options.arguments()) as denoiser:
        _logger.info(model_line(denoiser))
        warn_of_dark(denoiser.info, dark)
        yield denoiser


def warn_of_dark(info: ModelInfo, dark: DarkFrame | None) -> None:
    """Warn if a model was trained with dark frames, and there are none."""
    if dark is None and info.trained.get("dark_frames"):
        _logger.warning(
            "the model was trained on images without their fixed pattern, and has not learned to remove "
            "it; give the same dark frames with --dark"
        )


@contextmanager
def progress_bar(images: int) -> Iterator[Progress]:
    """Show a bar on standard error, if that is a terminal."""
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


def read_dark(inputs: Sequence[str], white_level: float | None = None) -> DarkFrame | None:
    """Return the mean of the dark frames that files, folders and globs name; None if none is named.

    Raises:
        UserError: they do not exist, or are no dark frames of one size and depth.
    """
    if not inputs:
        return None
    from ..images.dark import read_dark_frames
    from ..sources import find_images

    return read_dark_frames(find_images(inputs), white_level)
