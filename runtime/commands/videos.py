"""n2b-infer over videos."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from ..errors import UserError
from ..system.signals import sigterm_as_ctrl_c
from .session import open_session
from .settings import DenoiserOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..denoiser import Denoiser
    from ..images.dark import DarkFrame
    from ..pipelines.job import Job
    from .report import RunReport

_logger = logging.getLogger(__name__)


def run_videos(
    jobs: list[Job],
    strength: float,
    options: DenoiserOptions,
    *,
    keeps_manifest: bool = False,
    skip_existing: bool = False,
    dark: DarkFrame | None = None,
) -> tuple[Denoiser, RunReport]:
    """Denoise videos, one after the other; one that fails is reported and the rest is done.

    Args:
        jobs: what to do.
        strength: as `Denoiser` takes it.
        options: of the denoiser; without a model, the one for cameras is used.
        keeps_manifest: record in the folder of results what each was made from.
        skip_existing: leave out what the manifest shows as finished; it is then kept too.
        dark: frame to subtract first.

    Raises:
        UserError: the only video there is cannot be denoised.
    """
    from ..pipelines.result import ImageReport
    from .report import FRAMES_KEPT

    options = options.for_camera()
    settings = {"strength": strength} if keeps_manifest or skip_existing else None
    session = open_session(options, settings=settings, dark=dark, keep=FRAMES_KEPT)
    with sigterm_as_ctrl_c(), session as session:
        for job in session.remaining(jobs, skip_existing=skip_existing):
            try:
                if session.manifest is not None:
                    session.manifest.note(job)
                _denoise_video(job, session.denoiser, strength, session.report, dark)
                if session.manifest is not None:
                    session.manifest.add(job)
            except UserError as error:
                if len(jobs) == 1:
                    raise
                session.add(ImageReport(str(job.source), error=error))
    return session.denoiser, session.report


def _denoise_video(
    job: Job, denoiser: Denoiser, strength: float, report: RunReport, dark: DarkFrame | None
) -> None:
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
            denoise_stream(frames, denoiser, [sink], controls=Controls(strength), meter=meter, dark=dark)
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
    """Count the frames on standard error, if that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}: frame {task.completed}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda: bar.advance(task)
