"""Count values in one pass, with a histogram whose reach doubles for larger values."""

from __future__ import annotations

import math

import numpy as np

from ..runtime.system.opencv import load_opencv

BINS = 4096  # over −reach … reach
LEVELS = 128  # of a symmetric INT8 value's magnitude


class Histogram:
    """A histogram with the lowest and highest value added.

    Attributes:
        low, high: of all values; 0 before the first.
        reach: the bins cover −reach to reach, a power of two.
        bins: counts, float64 (BINS,).

    Args:
        counts: whether to count values; without, only `low` and `high` are kept, which is faster.
    """

    def __init__(self, *, counts: bool = True) -> None:
        self.low = self.high = 0.0
        self.reach = 2.0**-10
        self.bins = np.zeros(BINS)
        self._counts = counts

    def add(self, values: np.ndarray) -> float:
        """Count float32 values of any shape, at least one.

        Returns:
            The largest magnitude among them; NaN or infinity if a value is.
        """
        low, high = float(values.min()), float(values.max())
        largest = max(-low, high)
        if not math.isfinite(largest) or math.isnan(low):
            return math.nan if math.isnan(low + high) else math.inf
        self.low, self.high = min(self.low, low), max(self.high, high)
        if self._counts:
            while self.reach <= largest:
                self._double()
            self.bins += self._count(values)
        return largest

    def quantiles(self, *shares: float) -> list[float]:
        """Return the upper edge of the bin below which each share of the values lies."""
        below = np.cumsum(self.bins) / self.bins.sum()
        width = 2 * self.reach / BINS
        return [float(-self.reach + (np.searchsorted(below, share) + 1) * width) for share in shares]

    def magnitudes(self) -> np.ndarray:
        """Return counts of |value|, (BINS / 2,), from 0 to reach."""
        half = BINS // 2
        return self.bins[half:] + self.bins[:half][::-1]

    def _count(self, values: np.ndarray) -> np.ndarray:
        cv2 = load_opencv()
        flat = np.ascontiguousarray(values, np.float32).reshape(1, -1)
        counts = cv2.calcHist([flat], [0], None, [BINS], [-self.reach, self.reach])
        return counts.ravel().astype(np.float64)

    def _double(self) -> None:
        """Double the reach: merge pairs of bins into the middle half."""
        pairs = self.bins.reshape(-1, 2).sum(axis=1)
        self.bins = np.zeros(BINS)
        self.bins[BINS // 4 : BINS // 4 + BINS // 2] = pairs
        self.reach *= 2


def entropy_threshold(magnitudes: np.ndarray, reach: float) -> float:
    """Return where to clip |value|, at most at `reach`, so that LEVELS levels lose the least information.

    Of all cuts after at least LEVELS bins, take the one with the least Kullback-Leibler divergence of the
    distribution in LEVELS levels from that with all values beyond the cut in its last bin (Migacz,
    "8-bit inference with TensorRT", 2017).

    Args:
        magnitudes: counts over 0 … reach, in bins of equal width.
        reach: the upper end of the last bin.
    """
    filled = np.flatnonzero(magnitudes)
    last = int(filled[-1]) + 1 if len(filled) else 1
    cuts = range(min(LEVELS, last), last + 1, max(1, last // 256))
    best = min(cuts, key=lambda cut: _divergence(magnitudes[:last], cut))
    return reach * best / len(magnitudes)


def _divergence(counts: np.ndarray, cut: int) -> float:
    """Return the divergence of the distribution in LEVELS levels from the clipped one, over `cut` bins."""
    true = counts[:cut].copy()
    true[-1] += counts[cut:].sum()
    level = np.arange(cut) * LEVELS // cut
    is_filled = counts[:cut] > 0
    totals = np.bincount(level, counts[:cut], LEVELS)
    members = np.bincount(level, is_filled, LEVELS)
    coarse = np.where(is_filled, totals[level] / np.maximum(members[level], 1), 0)
    p, q = true / max(true.sum(), 1), coarse / max(coarse.sum(), 1)
    filled = p > 0
    return float((p[filled] * np.log(p[filled] / np.maximum(q[filled], 1e-12))).sum())
