"""Measure a stream: frame rate, latency and dropped frames."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

import numpy as np

from .frame import Frame

_WINDOW = 300  # latest frames that are averaged: ten seconds at 30 fps


@dataclass(frozen=True)
class LiveStats:
    """The statistics of a stream at one moment."""

    frames: int = 0  # denoised frames
    dropped: int = 0  # frames skipped in favour of newer ones
    corrupt: int = 0  # frames that could not be decoded
    reconnects: int = 0  # times the source was lost and opened again
    fps: float = 0.0  # denoised frames per second, over the latest frames
    # latency_p50_ms, latency_p99_ms: from the arrival of a frame to its end in the sinks
    latency_p50_ms: float = 0.0
    latency_p99_ms: float = 0.0
    width: int = 0  # of the latest frame in px, as the height
    height: int = 0
    model: str = ""  # its name, library and precision


class StreamMeter:
    """Counts the frames of a stream; safe to share between threads.

    Attributes:
        model: of the statistics: the model in use, once it is known.
    """

    def __init__(self) -> None:
        self.model = ""
        self._lock = threading.Lock()
        self._done_ns: deque[int] = deque(maxlen=_WINDOW)
        self._latency_ms: deque[float] = deque(maxlen=_WINDOW)
        self._frames = 0
        self._latest: Frame | None = None

    def add(self, frame: Frame, done_ns: int) -> None:
        """Count one frame.

        Args:
            frame: as received from the source.
            done_ns: time at which the last sink finished it (monotonic clock).
        """
        with self._lock:
            self._frames += 1
            self._latest = frame
            self._done_ns.append(done_ns)
            self._latency_ms.append((done_ns - frame.captured_ns) / 1e6)

    def stats(self) -> LiveStats:
        """Return the statistics up to now."""
        with self._lock:
            latest, frames = self._latest, self._frames
            done_ns, latency_ms = list(self._done_ns), list(self._latency_ms)
        if latest is None:
            return LiveStats(model=self.model)
        seconds = (done_ns[-1] - done_ns[0]) / 1e9
        p50, p99 = np.percentile(latency_ms, [50, 99])
        height, width = latest.pixels.shape[:2]
        return LiveStats(
            frames=frames,
            dropped=latest.index + 1 - frames,
            corrupt=latest.corrupt,
            reconnects=latest.connection,
            fps=(len(done_ns) - 1) / seconds if seconds else 0.0,
            latency_p50_ms=float(p50),
            latency_p99_ms=float(p99),
            width=width,
            height=height,
            model=self.model,
        )
