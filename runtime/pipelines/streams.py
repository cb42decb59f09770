"""Denoise several streams with one model, in turn, each with its own sinks and strength."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from ..controls import Controls
from ..denoiser import Denoiser
from ..errors import N2BError
from ..frame import Frame
from ..live_stats import StreamMeter
from ..sinks import Sink
from ..sources.newest import NewestFrames
from ..system.prefetch import prefetch
from .result import ImageReport
from .stages import WRITE

_Denoised = tuple[str, Frame, np.ndarray, dict[str, float]]  # with the ms of each stage


@dataclass
class Stream:
    """One of several streams: where its frames go, and how they are denoised."""

    sinks: list[Sink]
    controls: Controls
    meter: StreamMeter = field(default_factory=StreamMeter)
    limit: int | None = None  # of frames
    resources: ExitStack = field(default_factory=ExitStack)  # closes the sinks, once
    written: int = 0  # frames
    is_closed: bool = False

    def close(self) -> None:
        """Complete the outputs; may be called again."""
        self.is_closed = True
        self.resources.close()


def denoise_streams(
    frames: NewestFrames, denoiser: Denoiser, streams: Mapping[str, Stream]
) -> Generator[tuple[str, ImageReport], None, None]:
    """Denoise the newest frames in turn until all streams have ended; those that wait share batches.

    A stream whose frame, model or sink fails ends, with the error in `frames.ended`; the others go on. The
    outputs of one that has ended are completed at once.

    Yields:
        The name of the stream and the report of each frame.
    """
    with closing(prefetch(_denoise(frames, denoiser, streams))) as results:
        try:
            for name, frame, pixels, ms in results:
                stream = streams[name]
                if stream.is_closed:
                    continue
                started = time.perf_counter()
                try:
                    wants_more = [sink.write(frame, pixels) for sink in stream.sinks]
                except N2BError as error:
                    frames.end(name, error)
                    _close(frames, name, stream)
                    continue
                ms[WRITE] = (time.perf_counter() - started) * 1e3
                stream.meter.add(frame, time.monotonic_ns())
                stream.written += 1
                height, width = pixels.shape[:2]
                yield name, ImageReport(f"{name} frame {frame.index}", height=height, width=width, ms=ms)
                if not all(wants_more) or stream.written == stream.limit:
                    frames.end(name)
                    _close(frames, name, stream)
        finally:
            frames.stop()


def _close(frames: NewestFrames, name: str, stream: Stream) -> None:
    try:
        stream.close()
    except N2BError as error:
        frames.ended[name] = frames.ended.get(name) or error


def _denoise(frames: NewestFrames, denoiser: Denoiser, streams: Mapping[str, Stream]) -> Iterator[_Denoised]:
    most = len(streams) if denoiser.batch > 1 else 1
    while taken := frames.take(most):
        good = []
        for name, frame in taken:
            try:
                denoiser.check(frame.pixels)
            except N2BError as error:
                frames.end(name, error)
            else:
                good.append((streams[name].controls.strength, name, frame))
        good.sort(key=lambda one: one[0])
        for strength, group in groupby(good, key=lambda one: one[0]):
            items = [((name, frame), frame.pixels) for _, name, frame in group]
            for (name, frame), pixels, ms in denoiser.denoise_each(items, strength):
                yield name, frame, pixels, ms
