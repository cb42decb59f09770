"""n2b-infer over files: images or videos."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .settings import DenoiserOptions, OutputPlan

if TYPE_CHECKING:
    from ..denoiser import Denoiser
    from .report import RunReport


def run_inputs(
    inputs: list[str], outputs: OutputPlan, options: DenoiserOptions
) -> tuple[Denoiser, RunReport]:
    """Denoise the images or videos that files, folders and globs name."""
    from .images import run_images
    from .jobs import plan_jobs
    from .videos import run_videos

    plan = plan_jobs(inputs, outputs)
    run = run_videos if plan.is_video else run_images
    return run(plan, options, skip_existing=outputs.skip_existing)
