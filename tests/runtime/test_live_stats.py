"""The statistics of a stream."""

from __future__ import annotations

import numpy as np
import pytest
from n2b.runtime.frame import Frame
from n2b.runtime.live_stats import LiveStats, StreamMeter

PIXELS = np.zeros((4, 6, 3), np.uint8)
MS = 1_000_000


def test_all_is_zero_before_the_first_frame():
    assert StreamMeter().stats() == LiveStats()


def test_rate_latency_and_drops_are_computed_from_the_frames():
    meter = StreamMeter()
    for i, index in enumerate([0, 2, 3, 7]):
        captured = i * 100 * MS
        meter.add(
            Frame(PIXELS, "0", index, captured, captured, connection=i // 3, corrupt=i),
            captured + (10 + i) * MS,
        )
    stats = meter.stats()
    assert (stats.frames, stats.dropped, stats.reconnects) == (4, 4, 1)
    assert stats.corrupt == 3
    assert (stats.width, stats.height) == (6, 4)
    assert stats.fps == pytest.approx(3 / 0.303)
    assert stats.latency_p50_ms == pytest.approx(11.5)
    assert 12.9 < stats.latency_p99_ms <= 13
