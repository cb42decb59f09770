"""n2b-infer over the frames of a camera."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .console import warn
from .opening import open_denoiser

if TYPE_CHECKING:
    from .denoiser import Denoiser
    from .report import RunReport

_FRAMES_KEPT = 10_000  # for the report: a few minutes


def run_camera(
    camera: str, out: Path | None, limit: int | None, strength: float, options: dict[str, Any]
) -> tuple[Denoiser, RunReport]:
    """Denoise a camera's frames into a window, or a folder, until it or the user ends.

    Args:
        camera: as `camera_frames` takes it.
        out: a folder; None: a window.
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
    frames = camera_frames(camera)
    with (
        closing(frames),
        closing(WindowSink() if out is None else FolderSink(out)) as sink,
        open_denoiser(options) as denoiser,
    ):
        report = RunReport(keep=_FRAMES_KEPT)
        reports = denoise_stream(
            frames, denoiser, [sink], controls=Controls(strength), meter=StreamMeter(), limit=limit
        )
        with closing(reports):
            try:
                for frame in reports:
                    report.add(frame)
            except KeyboardInterrupt:
                warn("interrupted; this is the end of the frames")
    return denoiser, report
