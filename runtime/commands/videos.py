"""n2b-infer over videos."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from ..errors import UserError
from ..system.signals import sigterm_as_ctrl_c
from .session import open_session, read_dark
from .settings import DenoiserOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..denoiser import Denoiser
    from ..images.dark import DarkFrame
    from ..pipelines.job import Job
    from .jobs import Plan
    from .report import RunReport

_logger = logging.getLogger(__name__)


def run_videos(
    plan: Plan, options: DenoiserOptions, *, skip_existing: bool = False
) -> tuple[Denoiser, RunReport]:
    """Denoise videos, one after the other; one that fails is reported and the rest is done.

    Raises:
        UserError: the only video there is cannot be denoised.
    """
    from ..pipelines.result import ImageReport
    from .report import FRAMES_KEPT

    dark, keeps_manifest = read_dark(options.dark), plan.keeps_manifest or skip_existing
    opening = open_session(options.for_camera(), keeps_manifest=keeps_manifest, dark=dark, keep=FRAMES_KEPT)
    with sigterm_as_ctrl_c() as check, opening as session:
        for job in session.remaining(plan.jobs, skip_existing=skip_existing):
            try:
                with session.recording(job):
                    _denoise_video(job, session.denoiser, options.strength, session.report, dark, check)
            except UserError as error:
                if len(plan.jobs) == 1:
                    raise
                session.add(ImageReport(str(job.source), error=error))
    return session.denoiser, session.report


def _denoise_video(
    job: Job,
    denoiser: Denoiser,
    strength: float,
    report: RunReport,
    dark: DarkFrame | None,
    check: Callable[[], None],
) -> None:
    """Denoise a video; `check`, called after each frame, ends it by what it raises."""
    from ..controls import Controls
    from ..live_stats import StreamMeter
    from ..pipelines.stream import denoise_stream
    from ..sinks import VideoSink
    from ..sources.video_pyav import exact_video_frames
    from ..system.prefetch import prefetch

    meter, is_deep = StreamMeter(), _keeps_depth(job, denoiser)
    with (
        closing(
            prefetch(exact_video_frames(job.source, deep=is_deep))
        ) as frames,  # read while one is denoised
        closing(VideoSink(job.destination, job.source)) as sink,
        closing(
            denoise_stream(frames, denoiser, [sink], controls=Controls(strength), meter=meter, dark=dark)
        ) as reports,
        _counter(job.source.name) as on_frame,
    ):
        for frame in reports:
            report.add(frame)
            on_frame()
            check()
        sink.finish()


def _keeps_depth(job: Job, denoiser: Denoiser) -> bool:
    """Return True if the model takes more than 8 bits per channel; warn of what a video loses."""
    from ..model_files import float32_command
    from ..sinks.video_writer import MOST_BITS
    from ..video.description import describe_video

    video, is_deep = describe_video(job.source), denoiser.info.io == "float32"
    bits = video.bits
    if video.dynamic_hdr is not None:
        _logger.warning(
            f"{job.source}: its {video.dynamic_hdr} metadata are left out; PQ and HLG tags are kept"
        )
    if is_deep and bits > MOST_BITS:
        _logger.warning(
            f"{job.source}: its {bits} bits per channel become {MOST_BITS}, the most of H.264 here"
        )
    elif bits > 8 and not is_deep:
        command = float32_command(denoiser.model, denoiser.info.precision)
        _logger.warning(
            f"{job.source}: its {bits} bits per channel become 8; a model from {command} keeps {MOST_BITS}"
        )
    return is_deep


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
