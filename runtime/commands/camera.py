"""n2b-infer over the frames of a camera."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .session import open_denoiser
from .settings import DenoiserOptions

if TYPE_CHECKING:
    from ..controls import Controls
    from ..denoiser import Denoiser
    from ..images.dark import DarkFrame
    from ..live_stats import LiveStats, StreamMeter
    from ..sinks import Sink
    from ..sources import CameraSettings
    from .report import RunReport

_logger = logging.getLogger(__name__)

ANY_DEVICE = "auto"


@dataclass(frozen=True)
class Outputs:
    """Where a camera's frames go; where nothing is named, a window.

    Attributes:
        folder: for numbered images.
        record: a video.
        virtual_camera: a device, or "auto".
        serve: the address of the live page, as `PageSink` takes it.
        show: a window, in addition to the others.
        headless: no window.
    """

    folder: Path | None = None
    record: Path | None = None
    virtual_camera: str | None = None
    serve: str | None = None
    show: bool = False
    headless: bool = False

    @property
    def has_window(self) -> bool:
        """Return True if the frames are shown in a window."""
        others = self.folder, self.record, self.virtual_camera, self.serve
        is_nowhere = all(other is None for other in others)
        return self.show or (is_nowhere and not self.headless)


def run_camera(
    camera: str,
    settings: CameraSettings,
    outputs: Outputs,
    *,
    frames: int | None,
    seconds: float | None,
    strength: float,
    options: DenoiserOptions,
    dark: DarkFrame | None = None,
) -> tuple[Denoiser, RunReport]:
    """Denoise a camera's frames until it or the user ends; Ctrl-C and SIGTERM end it cleanly.

    Args:
        camera: as `sources.frames` takes it.
        settings: what to ask of it.
        outputs: where the frames go.
        frames: how many; None: all.
        seconds: for how long, from the time that the model is loaded; None: for ever.
        strength: as `Denoiser` takes it.
        options: of the denoiser; without a model, the one for cameras is used.
        dark: frame to subtract first.
    """
    from .. import sources
    from ..controls import Controls
    from ..live_stats import StreamMeter
    from ..pipelines.stream import denoise_stream
    from ..system.signals import Stop
    from .report import FRAMES_KEPT, RunReport

    controls, meter, stop = Controls(strength), StreamMeter(), Stop()
    with ExitStack() as held:
        source = held.enter_context(closing(sources.frames(camera, settings, stop=stop)))
        sinks = [held.enter_context(closing(sink)) for sink in _open_sinks(outputs, controls, meter)]
        denoiser = held.enter_context(open_denoiser(options.for_camera(), dark))
        report = RunReport(keep=FRAMES_KEPT)
        if seconds is not None:
            stop.request_after(seconds)
        held.enter_context(stop.on_signals())
        reports = denoise_stream(
            source, denoiser, sinks, controls=controls, meter=meter, limit=frames, stop=stop, dark=dark
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
    print(stream_line(report.stream), file=sys.stderr)
    return denoiser, report


def stream_line(stats: LiveStats) -> str:
    """Summarise how a stream ran, in one line."""
    return (
        f"{stats.frames} frames, {stats.dropped} dropped, {stats.corrupt} corrupt, "
        f"{stats.reconnects} times reconnected; at the end {stats.fps:.1f} frames a second, "
        f"latency {stats.latency_p50_ms:.0f} ms (p99 {stats.latency_p99_ms:.0f} ms)"
    )


def _open_sinks(outputs: Outputs, controls: Controls, meter: StreamMeter) -> Iterator[Sink]:
    from ..sinks import FolderSink, RecordSink, VirtualCameraSink, WindowSink

    if outputs.folder is not None:
        yield FolderSink(outputs.folder)
    if outputs.record is not None:
        yield RecordSink(outputs.record)
    if outputs.virtual_camera is not None:
        yield VirtualCameraSink(None if outputs.virtual_camera == ANY_DEVICE else outputs.virtual_camera)
    if outputs.serve is not None:
        yield page_sink(outputs.serve, controls, meter)
    if outputs.has_window:
        yield WindowSink()


def page_sink(address: str, controls: Controls, meter: StreamMeter) -> Sink:
    """Open the live page at [HOST:]PORT and print its address, with the token if it has one."""
    from ..preview.sink import PageSink

    page = PageSink(address, controls, meter)
    print(f"live page: {page.url}", file=sys.stderr, flush=True)
    return page
