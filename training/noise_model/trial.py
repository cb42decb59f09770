"""Calibrate the estimate: the measurements of images, applied to synthesised noise of a covariance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .covariance import autocovariance
from .spectrum import fields, filter_of
from .tiles import cell_means, cut, quietest

QUIET_SHARE = 0.05  # of the windows of one brightness: the quietest are taken for flat
_FIELDS, _FIELD_PX = 16, 128  # small, since the root of the spectrum takes most of the time
_SIGMA = 8.0  # grey levels; any will do, since nothing is rounded


@dataclass(frozen=True)
class Trial:
    """The measurements of synthesised noise of unit RMS.

    Attributes:
        expected: float64 (bands,), mean power.
        quiet: the quantile QUIET_SHARE of the variance in the quietest cells; less than 1.
        spread: standard deviation of its logarithm over windows.
        excess: ln of the mean of all cells over that of the quietest ones, in the quietest windows.
        shape: float64 (tiles, cells), variance by the cells of a tile over that by all its power.
        unevenness: float64 (tiles,), of the windows of a tile: standard deviation of the power over its mean.
        bias: (3, 3, SHIFTS, SHIFTS), by how much covariance in tiles is less than the true one.
    """

    expected: np.ndarray
    quiet: float
    spread: float
    excess: float
    shape: np.ndarray
    unevenness: np.ndarray
    bias: np.ndarray


def try_out(covariance: np.ndarray, rng: np.random.Generator) -> Trial:
    """Measure synthesised noise of a covariance (3, 3, SHIFTS, SHIFTS)."""
    noise = fields(filter_of(covariance, _FIELD_PX), _FIELDS, rng).transpose(0, 2, 3, 1)
    tiles = [cut(128 + _SIGMA * np.clip(field, -15, 15)) for field in noise]
    power = np.concatenate([some.power for some in tiles]) / _SIGMA**2
    expected = np.maximum(power.mean(axis=(0, 1)), 1e-6)
    means = np.maximum(cell_means(power, expected), 1e-6)  # images of one value have no noise at all
    told = quietest(means)
    quiet = float(np.quantile(told, QUIET_SHARE))
    chosen = told <= quiet
    total = np.maximum(power.mean(axis=-1) / expected.mean(), 1e-6)
    return Trial(
        expected=expected,
        quiet=quiet,
        spread=float(np.log(told).std()),
        excess=float(np.log(total[chosen].mean() / told[chosen].mean())),
        shape=means.mean(axis=1) / total.mean(axis=1)[:, None],
        unevenness=np.maximum(total.std(axis=1) / total.mean(axis=1), 1e-6),
        bias=covariance - autocovariance(np.concatenate([some.pixels for some in tiles]) / _SIGMA),
    )
