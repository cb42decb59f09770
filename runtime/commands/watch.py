"""n2b-infer over the images that arrive in folders."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UserError
from .images import denoise_jobs, find_large_jobs
from .session import Session, open_session, read_dark
from .settings import DenoiserOptions, OutputPlan

if TYPE_CHECKING:
    from ..denoiser import Denoiser
    from ..pipelines.job import Job
    from ..system.signals import Stop
    from .report import RunReport

_logger = logging.getLogger(__name__)

_EVERY_S = 1.0  # between looks
_POLL_S = 0.1  # interval at which a wait checks whether to stop


def run_watch(
    inputs: Sequence[str], outputs: OutputPlan, options: DenoiserOptions, stop: Stop | None = None
) -> tuple[Denoiser, RunReport]:
    """Denoise the images of folders and those that arrive there, until Ctrl-C or SIGTERM.

    What an earlier run finished is skipped. An image that fails is reported, and tried again when it changes.

    Args:
        stop: ends it; None: only signals do.

    Raises:
        UserError: an input is no folder, or the options do not fit.
    """
    from ..images.image import IMAGE_SUFFIXES
    from ..images.raw import raw_suffixes
    from ..sources.arrivals import Arrivals
    from ..system.signals import Stop
    from .report import FRAMES_KEPT

    folders = _check(inputs, outputs)
    assert outputs.out is not None
    stop = stop or Stop()
    dark = read_dark(options.dark, options.white_level)
    arrivals = Arrivals(folders, IMAGE_SUFFIXES + raw_suffixes(), outputs.out)
    with (
        open_session(options, keeps_manifest=True, dark=dark, keep=FRAMES_KEPT) as session,
        stop.on_signals(),
    ):
        _logger.info(f"watching {', '.join(map(str, folders))}; Ctrl-C ends it")
        owners: dict[Path, Path] = {}
        while not stop.is_due:
            found = arrivals.look()
            jobs = _plan(found, outputs, owners)
            if jobs:
                _denoise(session, jobs, options, stop)
            owners = {result: source for result, source in owners.items() if source in arrivals}
            stop.wait(_EVERY_S, _POLL_S)
    return session.denoiser, session.report


def _check(inputs: Sequence[str], outputs: OutputPlan) -> list[Path]:
    from ..images.image import IMAGE_SUFFIXES

    if not inputs:
        raise UserError("--watch needs a folder to watch")
    for name in inputs:
        if not Path(name).is_dir():
            raise UserError(f"{name} is no folder; --watch takes folders, which must be there at the start")
    if outputs.out is None or outputs.out.suffix.lower() in IMAGE_SUFFIXES:
        raise UserError("--watch needs a folder for the results, -o DIR")
    if outputs.reference is not None:
        raise UserError("--reference cannot be used with --watch; leave it out")
    folders = [Path(name) for name in inputs]
    if outputs.out.resolve() in [folder.resolve() for folder in folders]:
        raise UserError("the results would arrive in the folder that is watched; name another with -o")
    return folders


def _plan(found: Sequence[tuple[Path, Path]], outputs: OutputPlan, owners: dict[Path, Path]) -> list[Job]:
    """Return the jobs for images that have arrived; `owners` are the images by their results."""
    from ..images.raw import DEVELOPED_SUFFIX, is_raw
    from ..pipelines.job import Job

    jobs = []
    for path, folder in found:
        result = outputs.place(
            path, path.relative_to(folder), DEVELOPED_SUFFIX if is_raw(path) else path.suffix
        )
        owner = owners.setdefault(result, path)
        if owner != path:
            _logger.warning(f"left out: {path}: its result would overwrite that of {owner}")
        else:
            jobs.append(Job(path, result))
    return jobs


def _denoise(session: Session, jobs: list[Job], options: DenoiserOptions, stop: Stop) -> None:
    report, manifest = session.report, session.manifest
    assert manifest is not None
    skipped, made_again = report.skipped, report.made_again
    remaining = session.remaining(jobs, skip_existing=True)
    report.skipped += skipped
    report.made_again += made_again
    large, memory_mb, _ = find_large_jobs(remaining, options)
    images = denoise_jobs(
        remaining, session.denoiser, options, session.dark, lambda _: None,
        is_large=large.__contains__, memory_mb=memory_mb,
    )  # fmt: skip
    with closing(manifest.recording(images, remaining)) as recorded:
        for image in recorded:
            session.add(image)
            if image.error is None:
                _logger.info(f"{image.source} → {image.destination}")
            if stop.is_due:
                break
    manifest.forget()
