"""Denoise a stream for a long time that is lost, changes its size and holds damaged frames; watch the memory.

python -m benchmarks.soak [--minutes 30] [--fps 15] [--model camera] [--trouble-s 5]

A server on this machine (benchmarks/mjpeg_server.py) sends numbered frames over HTTP. Printed at the end: the
slope of the resident memory (least squares, the first fifth of the time left out as warm-up), the threads
before and after, and the frames by what became of them. Exit status 1 where a figure is not as it should be.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
from n2b.runtime import Denoiser
from n2b.runtime.controls import Controls
from n2b.runtime.frame import Frame
from n2b.runtime.live_stats import LiveStats, StreamMeter
from n2b.runtime.pipelines.stream import denoise_stream
from n2b.runtime.sources import frames
from n2b.runtime.system.memory import resident_bytes
from n2b.runtime.system.signals import Stop

from .mjpeg_server import NUMBERS, MjpegServer, read_number

SIZES_HW = ((64, 128), (96, 128), (120, 160))
WARM_UP = 0.2  # of the time
MOST_MB_PER_MINUTE = 1.0
_SAMPLE_S = 1.0


@dataclass
class Tally:
    """The observations of a soak.

    Attributes:
        sent, spoilt: what the server sent from the first denoised frame to the last, and how many of them it
            had spoilt.
        stats: what the stream's own meter says.
        is_in_order: every number was higher than the one before.
        sizes_hw: those that were seen.
        memory: (seconds, bytes) samples.
        threads_before, threads_after: the names of those that lived.
    """

    sent: int = 0
    spoilt: int = 0
    stats: LiveStats = field(default_factory=LiveStats)
    is_in_order: bool = True
    sizes_hw: set[tuple[int, int]] = field(default_factory=set)
    memory: list[tuple[float, int]] = field(default_factory=list)
    threads_before: list[str] = field(default_factory=list)
    threads_after: list[str] = field(default_factory=list)

    @property
    def mb_per_minute(self) -> float:
        """The slope of the memory after the warm-up."""
        if not self.memory:
            return 0.0
        seconds, count = np.array(self.memory).T
        warm = seconds >= WARM_UP * seconds[-1]
        return float(np.polyfit(seconds[warm] / 60, count[warm] / 1e6, 1)[0])

    @property
    def unaccounted(self) -> int:
        """Frames that were sent and are neither denoised, dropped nor spoilt; negative: counted twice."""
        return self.sent - self.stats.frames - self.stats.dropped - self.spoilt


class _Witness:
    """A sink that reads the frames' numbers."""

    def __init__(self, tally: Tally, server: MjpegServer) -> None:
        self._tally = tally
        self._server = server
        self._first = self._last = -1
        self._count = 0  # the numbers begin again after the highest

    def write(self, frame: Frame, _denoised: np.ndarray, /) -> bool:
        number = read_number(frame.pixels)
        step = (number - self._last) % NUMBERS
        if self._first < 0:
            self._first, step = number, 1
        self._count += step
        self._tally.is_in_order &= 0 < step < NUMBERS // 2
        self._last = number
        self._tally.sizes_hw.add(frame.pixels.shape[:2])
        return True

    def close(self) -> None:
        """Sum up."""
        self._tally.sent = self._count
        last = self._first + self._count - 1
        self._tally.spoilt = sum(self._first <= number <= last for number in self._server.spoilt)


def soak(denoiser: Denoiser, seconds: float, fps: float, trouble_s: float, seed: int = 0) -> Tally:
    """Run a stream with trouble on average every `trouble_s` seconds.

    Args:
        denoiser: the model.
        seconds: for how long.
        fps: what the server sends.
        trouble_s: the mean time between two disconnections, changes of size or damaged frames.
        seed: of the trouble.
    """
    tally = Tally(threads_before=_threads())
    server = MjpegServer(fps=fps)
    witness, meter, stop = _Witness(tally, server), StreamMeter(), Stop()
    stop.request_after(seconds)
    trouble = threading.Thread(target=_make_trouble, args=(server, stop, trouble_s, seed), name="trouble")
    started_s = sampled_s = time.monotonic()
    with closing(server), closing(frames(server.url, stop=stop)) as source, closing(witness):
        trouble.start()
        reports = denoise_stream(source, denoiser, [witness], controls=Controls(), meter=meter, stop=stop)
        for _ in reports:
            now_s = time.monotonic()
            if now_s - sampled_s >= _SAMPLE_S:
                sampled_s = now_s
                tally.memory.append((now_s - started_s, resident_bytes() or 0))
        trouble.join()
    tally.stats = meter.stats()
    tally.threads_after = _threads()
    return tally


def _make_trouble(server: MjpegServer, stop: Stop, trouble_s: float, seed: int) -> None:
    chance = random.Random(seed)
    while not stop.is_due:
        due_s = time.monotonic() + chance.expovariate(1 / trouble_s)
        while time.monotonic() < due_s and not stop.is_due:
            time.sleep(0.05)
        kind = chance.choice(["spoil", "hang up", "size"])
        if kind == "spoil":
            server.spoil()
        elif kind == "size":  # of the next connection, since OpenCV's FFmpeg keeps the first size of each
            server.hang_up(chance.choice(SIZES_HW))
        else:
            server.hang_up()


def _threads() -> list[str]:
    return sorted(thread.name for thread in threading.enumerate())


def main() -> int:
    """Print what a soak saw; the exit status says whether it is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--fps", type=float, default=15)
    parser.add_argument("--model", default="camera")
    parser.add_argument("--trouble-s", type=float, default=5)
    arguments = parser.parse_args()
    with Denoiser(arguments.model) as denoiser:
        tally = soak(denoiser, arguments.minutes * 60, arguments.fps, arguments.trouble_s)
    stats = tally.stats
    memory_mb = [count / 1e6 for _, count in tally.memory]
    print(f"{arguments.minutes:g} minutes of {arguments.fps:g} frames a second, {arguments.model}")
    print(f"sent {tally.sent}: denoised {stats.frames}, dropped {stats.dropped}, spoilt {tally.spoilt}")
    print(f"not accounted for {tally.unaccounted}, in order: {tally.is_in_order}")
    print(f"corrupt as counted by the stream {stats.corrupt}, reconnected {stats.reconnects} times")
    print(f"sizes seen: {', '.join(f'{width}×{height}' for height, width in sorted(tally.sizes_hw))} px")
    print(f"latency p50 {stats.latency_p50_ms:.1f} ms, p99 {stats.latency_p99_ms:.1f} ms (last 300 frames)")
    print(
        f"resident memory {memory_mb[0]:.1f} MB first, {memory_mb[-1]:.1f} MB last, {max(memory_mb):.1f} most"
    )
    print(f"slope after warm-up {tally.mb_per_minute:+.3f} MB/min")
    print(f"threads before {tally.threads_before}, after {tally.threads_after}")
    is_good = (
        tally.unaccounted == 0
        and tally.is_in_order
        and tally.mb_per_minute < MOST_MB_PER_MINUTE
        and tally.threads_before == tally.threads_after
    )
    print("as it should be" if is_good else "NOT as it should be")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
