"""n2b-infer over files: images or videos."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .settings import DenoiserOptions, OutputPlan

if TYPE_CHECKING:
    from ..denoiser import Denoiser
    from ..images.dark import DarkFrame
    from .report import RunReport


def run_inputs(
    inputs: list[str],
    outputs: OutputPlan,
    strength: float,
    options: DenoiserOptions,
    *,
    skip_existing: bool,
    dark: DarkFrame | None = None,
) -> tuple[Denoiser, RunReport]:
    """Denoise the images or videos that are named.

    Args:
        inputs: files, folders, globs.
        outputs: where the results go.
        strength: as Denoiser takes it.
        options: of the denoiser.
        skip_existing: leave out what the manifest next to the results shows as finished.
        dark: frame to subtract first.
    """
    from .images import run_images
    from .jobs import plan_jobs
    from .videos import run_videos

    plan = plan_jobs(inputs, outputs)
    run = run_videos if plan.is_video else run_images
    return run(
        plan.jobs,
        strength,
        options,
        keeps_manifest=plan.keeps_manifest,
        skip_existing=skip_existing,
        dark=dark,
    )
