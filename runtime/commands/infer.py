"""n2b-infer over what was named: videos, or else images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError

if TYPE_CHECKING:
    from ..denoiser import Denoiser
    from .report import RunReport


def run_inputs(
    inputs: list[str],
    out: Path | None,
    suffix: str | None,
    ext: str | None,
    reference: Path | None,
    strength: float,
    options: dict[str, Any],
    *,
    skip_existing: bool,
) -> tuple[Denoiser | None, RunReport]:
    """Denoise the videos that are named, or else the images.

    Args:
        inputs: files, folders, globs.
        out, suffix, ext, reference: as `plan_jobs` takes them.
        strength: as Denoiser takes it.
        options: its arguments.
        skip_existing: leave out what is finished, by the record beside the results.
    """
    from .images import plan_files, run_files
    from .jobs import names_a_file
    from .video_jobs import plan_videos
    from .videos import run_videos

    videos = plan_videos(inputs, out, suffix, ext)
    if videos and reference is not None:
        raise UserError("--reference measures images, and videos were named")
    jobs = videos or plan_files(inputs, out, suffix, ext, reference)
    keeps_record = out is not None and not (names_a_file(out) or (videos and videos[0].destination == out))
    run = run_videos if videos else run_files
    return run(jobs, strength, options, keeps_record=keeps_record, skip_existing=skip_existing)
