"""The goals of training on one's own camera, checked on the measured cells."""

from __future__ import annotations

from collections.abc import Iterator

from .methods import BM3D, BM3D_COARSE, CAMERA, NOISE2VOID
from .results import Result, ResultGrid, method_title

_MOST_HARM_DB = 0.1  # of any image, and of longer training
_LEAD_DB = 1.0  # over other methods, on cameras; on microscopes it is 0
_NOISY_BELOW_DB = 34.0
_GAIN_DB, _GAIN_OF_NOISY_DB = 2.0, 3.0  # with 15 images of PolyU's crops
_IMAGES = 15
_RANK_CORRELATION = 0.8


def missed_goals(grid: ResultGrid) -> list[str]:
    """Return a line for each goal that a cell of n2b-train misses."""
    own = [result for result in grid.results if result.is_own]
    return [line for result in own for line in _missed(result, grid)]


def _missed(own: Result, grid: ResultGrid) -> Iterator[str]:
    who = f"{own.title}, `{own.method}`"
    if (worst := min(own.gains())) < -_MOST_HARM_DB:
        harmed = sum(gain < -_MOST_HARM_DB for gain in own.gains())
        yield f"{who}: {harmed} of {len(own.gains())} images lose more than {_MOST_HARM_DB} dB ({worst:+.2f})"
    if (needed := _needed_gain(own)) is not None and own.mean_gain < needed:
        yield f"{who}: gain {own.mean_gain:+.2f} dB, not {needed:+.1f}"
    for other in grid.results:
        if other.spec != own.spec:
            continue
        difference = own.mean_gain - other.mean_gain
        if other.method == CAMERA and difference < 0:
            yield f"{who}: {-difference:.2f} dB behind `camera`"
        if _is_rival(other, own) and difference < (lead := 0.0 if own.spec.is_fitted else _LEAD_DB):
            yield f"{who}: {difference:+.2f} dB to {method_title(other.method)}, not {lead:+.1f}"
        if _is_shorter(other, own) and difference < -_MOST_HARM_DB:
            yield f"{who}: {-difference:.2f} dB worse than after {other.minutes:g} min"
    rho = (own.judgement or {}).get("rho")
    if rho is not None and rho < _RANK_CORRELATION:
        yield f"{who}: rank correlation {rho:.2f}, not {_RANK_CORRELATION}"


def _needed_gain(own: Result) -> float | None:
    if own.spec.folder != "polyu" or own.images != min(_IMAGES, own.available):
        return None
    noisy = sum(own.noisy_db.values()) / len(own.noisy_db)
    return _GAIN_OF_NOISY_DB if noisy < _NOISY_BELOW_DB else _GAIN_DB


def _is_rival(other: Result, own: Result) -> bool:
    is_equal = (other.images, other.minutes) == (own.images, own.minutes)
    return other.method in (BM3D, BM3D_COARSE) or (other.method == NOISE2VOID and is_equal)


def _is_shorter(other: Result, own: Result) -> bool:
    return (
        (other.method, other.images) == (own.method, own.images)
        and other.minutes is not None
        and own.minutes is not None
        and other.minutes < own.minutes
    )
