"""n2b-infer over videos."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from ..system.signals import sigterm_as_ctrl_c
from .session import open_denoiser

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..denoiser import Denoiser
    from ..pipelines.job import Job
    from .report import RunReport

_logger = logging.getLogger(__name__)


def run_videos(
    jobs: list[Job],
    strength: float,
    options: dict[str, Any],
    *,
    keeps_record: bool = False,
    skip_existing: bool = False,
) -> tuple[Denoiser, RunReport]:
    """Denoise videos, one after the other; one that fails is named and the rest is done.

    Args:
        jobs: what to do.
        strength: as `Denoiser` takes it.
        options: the arguments of Denoiser.
        keeps_record: note beside the results what they are made of.
        skip_existing: leave out what is finished by that record, which is then kept too.
    """
    from ..model_files import default_for_camera
    from ..pipelines.result import ImageReport
    from .images import open_record
    from .manifest import model_identities
    from .report import FRAMES_KEPT, RunReport

    options["model"] = options["model"] or default_for_camera()
    before = model_identities(options["model"])
    with sigterm_as_ctrl_c(), open_denoiser(options) as denoiser:
        report, left, finished = RunReport(keep=FRAMES_KEPT), jobs, None
        if keeps_record or skip_existing:
            finished = open_record(denoiser, before, options, {"strength": strength})
        if finished is not None and skip_existing:
            left = finished.leave_out(jobs, report)
        for job in left:
            try:
                if finished is not None:
                    finished.note(job)
                _denoise_video(job, denoiser, strength, report)
                if finished is not None:
                    finished.add(job)
            except UserError as error:
                if len(jobs) == 1:
                    raise
                failed = ImageReport(str(job.source), error=error)
                report.add(failed)
                _logger.warning(f"left out: {failed.reason}")
    return denoiser, report


def _denoise_video(job: Job, denoiser: Denoiser, strength: float, report: RunReport) -> None:
    from ..controls import Controls
    from ..live_stats import StreamMeter
    from ..pipelines.stream import denoise_stream
    from ..sinks import VideoSink
    from ..sources.video_pyav import exact_video_frames
    from ..system.prefetch import prefetch

    meter = StreamMeter()
    with (
        closing(prefetch(exact_video_frames(job.source))) as frames,  # read while one is denoised
        closing(VideoSink(job.destination, job.source)) as sink,
        closing(
            denoise_stream(frames, denoiser, [sink], controls=Controls(strength), meter=meter)
        ) as reports,
        _counter(job.source.name) as on_frame,
    ):
        for frame in reports:
            report.add(frame)
            on_frame()
        sink.finish()
    if corrupt := meter.stats().corrupt:
        _logger.warning(f"{job.source}: {corrupt} damaged frames are left out of the result")


@contextmanager
def _counter(name: str) -> Iterator[Callable[[], None]]:
    """Frames that are done, on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}: frame {task.completed}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda: bar.advance(task)
