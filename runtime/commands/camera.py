"""n2b-infer over the frames of a camera."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

from ..system.console import print_to_stderr
from .camera_plan import CameraPlan, plan_cameras
from .session import open_denoiser, read_dark
from .settings import CameraOptions, DenoiserOptions

if TYPE_CHECKING:
    from ..controls import Controls
    from ..denoiser import Denoiser
    from ..live_stats import LiveStats, StreamMeter
    from ..sinks import Sink
    from .report import RunReport

_logger = logging.getLogger(__name__)

ANY_DEVICE = "auto"


def run_camera(
    camera: CameraOptions, folder: Path | None, options: DenoiserOptions
) -> tuple[Denoiser, RunReport]:
    """Denoise a camera's frames until it or the user ends; Ctrl-C and SIGTERM end it cleanly.

    Args:
        camera: what is denoised, for how long, and where the frames go; with no place named, a window.
        folder: for numbered images; None: there are none.
        options: of the denoiser; without a model, the one for cameras is used.
    """
    from .. import sources
    from ..controls import Controls
    from ..live_stats import StreamMeter
    from ..pipelines.stream import denoise_stream
    from ..system.signals import Stop
    from .report import FRAMES_KEPT, RunReport

    (plan,) = plan_cameras(camera, None, options.strength)
    dark = read_dark(options.dark)
    controls, meter, stop = Controls(options.strength), StreamMeter(), Stop()
    with ExitStack() as held:
        source = held.enter_context(closing(sources.frames(plan.address, plan.requested, stop=stop)))
        sinks = [
            held.enter_context(closing(sink)) for sink in _open_sinks(camera, plan, folder, controls, meter)
        ]
        denoiser = held.enter_context(open_denoiser(options.for_camera(), dark))
        meter.model = f"{denoiser.model.stem}, {denoiser.backend} in {denoiser.precision}"
        report = RunReport(keep=FRAMES_KEPT)
        if camera.max_seconds is not None:
            stop.request_after(camera.max_seconds)
        held.enter_context(stop.on_signals())
        reports = denoise_stream(
            source, denoiser, sinks, controls=controls, meter=meter, limit=camera.frames, stop=stop, dark=dark
        )
        try:
            with closing(reports):
                for frame in reports:
                    report.add(frame)
        except KeyboardInterrupt:
            stop.by_signal = True
        if stop.by_signal:
            _logger.warning("interrupted; this is the end of the frames")
    report.stream = meter.stats()
    print_to_stderr(stream_line(report.stream))
    return denoiser, report


def stream_line(stats: LiveStats) -> str:
    """Summarise how a stream ran, in one line."""
    return (
        f"{stats.frames} frames, {stats.dropped} dropped, {stats.corrupt} corrupt, "
        f"{stats.reconnects} times reconnected; at the end {stats.fps:.1f} frames a second, "
        f"latency {stats.latency_p50_ms:.0f} ms (p99 {stats.latency_p99_ms:.0f} ms)"
    )


def _open_sinks(
    camera: CameraOptions, plan: CameraPlan, folder: Path | None, controls: Controls, meter: StreamMeter
) -> Iterator[Sink]:
    from ..sinks import WindowSink

    yield from open_sinks(folder, plan.record, plan.restream, plan.virtual_camera)
    if camera.serve is not None:
        yield page_sink(camera.serve, controls, meter, camera.serve_token)
    if camera.has_window(folder):
        yield WindowSink()


def open_sinks(
    folder: Path | None, record: Path | None, restream: str | None, virtual_camera: str | None
) -> Iterator[Sink]:
    """Open the outputs that are given, one after the other."""
    from ..sinks import FolderSink, RecordSink, RestreamSink, VirtualCameraSink

    if folder is not None:
        yield FolderSink(folder)
    if record is not None:
        yield RecordSink(record)
    if restream is not None:
        yield RestreamSink(restream)
    if virtual_camera is not None:
        yield VirtualCameraSink(None if virtual_camera == ANY_DEVICE else virtual_camera)


def page_sink(address: str, controls: Controls, meter: StreamMeter, token_file: Path | None = None) -> Sink:
    """Open the live page at [HOST:]PORT and print its address, with the token if it has one."""
    from ..preview.sink import PageSink

    page = PageSink(address, controls, meter, token_file=token_file)
    print_to_stderr(f"live page: {page.url}")
    return page
