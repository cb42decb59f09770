"""n2b-infer over the frames of a camera."""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .console import warn
from .opening import open_denoiser

if TYPE_CHECKING:
    from .controls import Controls
    from .denoiser import Denoiser
    from .live_stats import StreamMeter
    from .report import RunReport
    from .sinks import Sink

_FRAMES_KEPT = 10_000  # for the report: a few minutes


def run_camera(
    camera: str,
    out: Path | None,
    serve: str | None,
    limit: int | None,
    strength: float,
    options: dict[str, Any],
) -> tuple[Denoiser, RunReport]:
    """Denoise a camera's frames into a folder, a page or else a window, until it or the user ends.

    Args:
        camera: as `camera_frames` takes it.
        out: a folder; None: none.
        serve: the address of the live page, as `PageSink` takes it; None: no page.
        limit: how many frames; None: all.
        strength: as `Denoiser` takes it.
        options: the arguments of Denoiser.
    """
    from .controls import Controls
    from .live_stats import StreamMeter
    from .model_files import default_for_camera
    from .report import RunReport
    from .sinks import FolderSink, WindowSink
    from .sources import camera_frames
    from .streaming import denoise_stream

    options["model"] = options["model"] or default_for_camera()
    controls, meter = Controls(strength), StreamMeter()
    frames = camera_frames(camera)
    sinks: list[Sink] = []
    with closing(frames), ExitStack() as open_sinks:
        if serve is not None:
            sinks.append(open_sinks.enter_context(closing(page_sink(serve, controls, meter))))
        if out is not None or serve is None:
            sinks.append(open_sinks.enter_context(closing(WindowSink() if out is None else FolderSink(out))))
        denoiser = open_sinks.enter_context(open_denoiser(options))
        report = RunReport(keep=_FRAMES_KEPT)
        reports = denoise_stream(frames, denoiser, sinks, controls=controls, meter=meter, limit=limit)
        with closing(reports):
            try:
                for frame in reports:
                    report.add(frame)
            except KeyboardInterrupt:
                warn("interrupted; this is the end of the frames")
    return denoiser, report


def page_sink(address: str, controls: Controls, meter: StreamMeter) -> Sink:
    """The live page at [HOST:]PORT; its address, with the token where it has one, is told once."""
    from .preview.sink import PageSink

    page = PageSink(address, controls, meter)
    print(f"live page: {page.url}", file=sys.stderr, flush=True)
    return page
