"""Denoise a stream: a frame is denoised while the one before it goes to the sinks."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice

import numpy as np

from ..controls import Controls
from ..denoiser import Denoiser
from ..frame import Frame
from ..images.dark import DarkFrame
from ..live_stats import StreamMeter
from ..sinks import InteractiveSink, Sink
from ..system.prefetch import prefetch
from ..system.signals import Stop
from .result import ImageReport
from .stages import READ, WRITE

_Denoised = tuple[Frame, np.ndarray, dict[str, float]]  # with the time of each stage in ms


def denoise_stream(
    frames: Iterable[Frame],
    denoiser: Denoiser,
    sinks: Sequence[Sink],
    *,
    controls: Controls,
    meter: StreamMeter,
    limit: int | None = None,
    stop: Stop | None = None,
    dark: DarkFrame | None = None,
) -> Generator[ImageReport, None, None]:
    """Denoise frames as they come, until the source or a sink ends, the limit is reached, or it is to stop.

    Reading and denoising have a thread; the sinks are written by the thread that iterates, since a window
    belongs to one thread. Each frame gives one report.

    Args:
        sinks: take each frame, one after the other; with none the frames are only counted.
        controls: read before each frame.
        stop: when to end; it is requested at the end, so that a source that waits for its camera lets go.
        dark: frame to subtract from each frame first.
    """
    stop = stop or Stop()
    interactive = [sink for sink in sinks if isinstance(sink, InteractiveSink)]

    def poll() -> None:
        if not all(sink.poll() for sink in interactive):
            stop.request()  # which ends the frames

    denoised = _denoise(islice(frames, limit), denoiser, controls, stop, dark)
    with closing(prefetch(denoised, while_waiting=poll if interactive else None)) as results:
        try:
            for frame, pixels, ms in results:
                started = time.perf_counter()
                wants_more = [sink.write(frame, pixels) for sink in sinks]
                ms[WRITE] = (time.perf_counter() - started) * 1e3
                meter.add(frame, time.monotonic_ns())
                height, width = pixels.shape[:2]
                yield ImageReport(f"{frame.source} frame {frame.index}", height=height, width=width, ms=ms)
                if not all(wants_more):
                    break
        finally:
            stop.request()


def _denoise(
    frames: Iterator[Frame], denoiser: Denoiser, controls: Controls, stop: Stop, dark: DarkFrame | None
) -> Iterator[_Denoised]:
    clock = time.perf_counter()
    for frame in frames:
        if stop.is_due:
            break
        noisy = frame
        if dark is not None:
            noisy = dataclasses.replace(frame, pixels=dark.subtract(frame.pixels, frame.source))
        read = time.perf_counter()
        ((_, pixels, ms),) = denoiser.denoise_each([(noisy, noisy.pixels)], controls.strength)
        yield noisy, pixels, {READ: (read - clock) * 1e3, **ms}
        clock = time.perf_counter()
