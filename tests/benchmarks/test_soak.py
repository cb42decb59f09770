"""The soak test, for a few seconds of what it is meant to run for half an hour."""

from __future__ import annotations

from n2b.runtime import Denoiser

from benchmarks.soak import Tally, soak


def test_a_stream_full_of_trouble_loses_no_frame_unseen_and_leaves_no_thread() -> None:
    with Denoiser("camera") as denoiser:
        tally = soak(denoiser, seconds=5, fps=40, trouble_s=0.4)
    assert tally.is_in_order
    assert tally.unaccounted == 0
    assert tally.stats.frames > 20
    assert tally.stats.reconnects > 0 and tally.spoilt > 0
    assert tally.threads_after == tally.threads_before
    assert len(tally.memory) >= 3


def test_the_slope_is_that_of_the_memory_after_the_warm_up() -> None:
    warm_up = [(float(second), 10**8 + second * 10**7) for second in range(20)]
    rest = [(float(second), 3 * 10**8 + second * 50_000) for second in range(20, 100)]
    assert abs(Tally(memory=warm_up + rest).mb_per_minute - 3) < 1e-6
