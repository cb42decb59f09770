"""Estimate a noise model from flat tiles of noisy images, or from the quietest frequencies without any.

Level and covariance need each other: how much of a window's power is noise shows at the frequencies where
the noise is strong, and which tiles are flat shows by the level. So they are found in turn, from the
quietest tiles on. Whatever is measured in the images is measured in noise that the model so far gives, too,
and corrected by it: the quietest of many windows are quieter than noise is in the mean, and the plane taken
from a tile takes a part of coarse noise.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from .covariance import autocovariance, of_similar, shrunk, tapered, with_unit_rms
from .level import Levels, Measured, fit_levels
from .model import KNOT_SPACING, KNOTS, NoiseModel, knots
from .tiles import Tiles, cell_means, coarseness, cut, quietest
from .trial import QUIET_SHARE, Trial, try_out

ROUNDS = 4
MOST_SOURCES = 32  # beyond, images that follow one another share a covariance
_CANDIDATES = 192  # tiles of an image that may turn out flat
_QUIET_TILES = 0.2  # of a brightness; quieter ones are no better, since a JPEG empties the quietest of all
_FINE_SHARE = 0.1  # of the candidates: the finest, which surely are noise
_CHANCE = 1.3  # how much coarser than these chance makes a tile
_MOST_COARSER = 1.5  # the finest of an image than the finest of all
_MOST_VARIANCE = 1.6  # of a flat tile, over that of the level
_FEWEST_FLAT = 8  # of all images together: with fewer the flattest are taken
_COMMON_WEIGHT = 8.0  # tiles that the covariance of similar images counts as in that of one
_TILT_WEIGHT = 64.0  # likewise an unchanging covariance
_FEWEST_WINDOWS = 18  # of a brightness
_ALIKE = 9.0  # windows, of which as many tell as much as one that stands alone: they overlap
_MODEL_ERROR = 0.25  # of ln σ² by the quietest windows, however many
_FLAT_ERROR, _TILE_SPREAD = 0.05, 0.25  # likewise by flat tiles, and by a single one
_LEAST_SIGMA = 0.29  # grey levels, √(1/12): what rounding to 8 bit makes
_FLAT_SCORE = 1.0  # bound on the least flat measure of a flat tile, over the 99 % of noise
_DOUBT = 2.0  # times the excess of the other cells: how wrong a measurement in texture may be


@dataclass(frozen=True)
class _Image:
    """The power of an image's windows, and its tiles that may be flat."""

    brightness: np.ndarray  # (windows,)
    power: np.ndarray  # (windows, bands)
    candidates: Tiles
    least: float  # grey levels, the least σ of its noise
    coarse: np.ndarray  # of the candidates, over the most that noise is; as `_coarse` returns it


@dataclass(frozen=True)
class _Flat:
    """Candidates of an image: pixels (n, 3, S, S) of unit RMS, brightness and variance in grey levels (n,).

    `score` (n,) is the larger the less flat; up to _FLAT_SCORE a tile passes.
    """

    pixels: np.ndarray
    brightness: np.ndarray
    variance: np.ndarray
    score: np.ndarray


def estimate_noise(images: Iterable[np.ndarray], *, seed: int = 0) -> NoiseModel:
    """Estimate the noise of images, of one camera or of several.

    Args:
        images: (H, W, 3), sides of at least 32 px; uint8, uint16, or float in [0, 1]. They are taken one
            at a time, and of each some 4 MB are kept.
        seed: of the synthesised noise that corrections come from.

    Returns:
        A model in any case; its spreads are its uncertainty.

    Raises:
        ValueError: there is no image.
    """
    kept = [_keep(image) for image in images]
    if not kept:
        raise ValueError("a noise model needs at least one image")
    coarse = _coarse([image.candidates for image in kept])
    kept = [replace(image, coarse=values) for image, values in zip(kept, coarse, strict=True)]
    rng = np.random.default_rng([seed, 11])
    covariance = _of_finest(kept)
    flats: list[_Flat] = []
    levels: Levels | None = None
    for _ in range(ROUNDS):
        trial = try_out(covariance, rng)
        quiet = [_measure(image, trial) for image in kept]
        for with_flats in (False, True):
            measured = [_joined(a, b) for a, b in zip(quiet, flats, strict=True)] if with_flats else quiet
            levels = fit_levels(measured)
            flats = [_flat(image, level, trial) for image, level in zip(kept, levels.own, strict=True)]
        covariance = _common(flats)
    assert levels is not None
    return _model(levels, flats, try_out(covariance, rng))


def _keep(image: np.ndarray) -> _Image:
    grey, least = _in_grey_levels(image)
    tiles = _livelier(cut(grey), least)
    total = tiles.power.mean(axis=(1, 2))
    bins = _bins(tiles.brightness.mean(axis=1))
    ratio = np.empty(len(tiles))
    for value in np.unique(bins):
        alike = bins == value
        ratio[alike] = np.maximum(total[alike] / max(np.quantile(total[alike], _QUIET_TILES), 1e-6), 1)
    merit = ratio * coarseness(tiles.power)
    merit = np.maximum(
        merit / max(_CHANCE * np.quantile(merit, _FINE_SHARE), 1e-9), 1
    )  # all that may be noise alike
    order = np.random.default_rng(len(tiles)).permutation(len(tiles))
    best = order[np.argsort(merit[order], kind="stable")][:_CANDIDATES]
    return _Image(
        brightness=tiles.brightness.ravel(),
        power=tiles.power.reshape(-1, tiles.power.shape[-1]),
        candidates=Tiles(tiles.pixels[best], tiles.brightness[best], tiles.power[best]),
        least=least,
        coarse=np.empty(0),
    )


def _livelier(tiles: Tiles, sigma: float) -> Tiles:
    """Return the tiles with more noise than rounding makes: others are borders, or emptied by a JPEG."""
    lively = np.sqrt(tiles.power.mean(axis=(1, 2)) / tiles.pixels.shape[1]) > sigma
    if not lively.any():
        return tiles
    return Tiles(tiles.pixels[lively], tiles.brightness[lively], tiles.power[lively])


def _in_grey_levels(image: np.ndarray) -> tuple[np.ndarray, float]:
    """Return an image as float32 on 0..255, and the least σ that its noise can have."""
    if image.dtype == np.uint8:
        return image.astype(np.float32), _LEAST_SIGMA
    scale = 255 / np.iinfo(image.dtype).max if image.dtype.kind == "u" else 255.0
    return image.astype(np.float32) * np.float32(scale), _LEAST_SIGMA / 256


def _of_finest(kept: list[_Image]) -> np.ndarray:
    """Return a first covariance, from the finest candidates: texture and shades are coarser than noise."""
    pixels = np.concatenate([image.candidates.pixels[image.coarse <= 1] for image in kept])
    return with_unit_rms(tapered(autocovariance(_over(pixels, _rms(pixels)))))


def _coarse(candidates: list[Tiles]) -> list[np.ndarray]:
    """Return how coarse each image's candidates are, over what chance allows its and all finest."""
    coarse = [coarseness(tiles.power) for tiles in candidates]
    of_all = np.quantile(np.concatenate(coarse), _FINE_SHARE)
    limits = []
    for values in coarse:
        own = np.quantile(values, _FINE_SHARE)
        limits.append(_CHANCE * min(own, _MOST_COARSER * of_all))
    return [values / max(limit, values.min(), 1e-9) for values, limit in zip(coarse, limits, strict=True)]


def _measure(image: _Image, trial: Trial) -> Measured:
    """Return ln σ² at each brightness of an image, from its quietest windows and their quietest cells.

    Where even these hold texture, their other cells hold more: by as much the measurement may be wrong.
    """
    means = cell_means(image.power, trial.expected)
    told, total = quietest(means), image.power.mean(axis=1) / trial.expected.mean()
    bins = _bins(image.brightness)
    values, counts = np.unique(bins, return_counts=True)
    groups = [bins == value for value in values[counts >= _FEWEST_WINDOWS]] or [np.ones(len(bins), bool)]
    at, log_variance, error = [], [], []
    for group in groups:
        quiet = np.quantile(told[group], QUIET_SHARE)
        chosen = group & (told <= quiet)
        variance = max(quiet / trial.quiet, image.least**2)
        excess = np.log(max(total[chosen].mean(), 1e-9) / max(told[chosen].mean(), 1e-9)) - trial.excess
        chance = trial.spread**2 / max(1.0, QUIET_SHARE * group.sum() / _ALIKE)
        at.append(image.brightness[chosen].mean())
        log_variance.append(np.log(variance))
        error.append(np.sqrt(chance + _MODEL_ERROR**2 + (_DOUBT * max(0.0, excess)) ** 2))
    return Measured(np.array(at), np.array(log_variance), np.array(error))


def _flat(image: _Image, level: np.ndarray, trial: Trial) -> _Flat:
    """Return candidates, and how far from what noise explains: in strength, fineness, evenness and shape."""
    tiles = image.candidates
    brightness = tiles.brightness.mean(axis=1)
    sigma = np.interp(brightness, knots(), level)
    means = cell_means(tiles.power, trial.expected).mean(axis=1)
    total = tiles.power.mean(axis=-1) / trial.expected.mean()
    variance = total.mean(axis=1)
    shape = means / np.maximum(variance, 1e-9)[:, None] / np.quantile(trial.shape, 0.99, axis=0)
    uneven = total.std(axis=1) / np.maximum(variance, 1e-9) / np.quantile(trial.unevenness, 0.99)
    strong = variance / np.maximum(sigma, 1e-3) ** 2 / _MOST_VARIANCE
    score = np.max([shape.max(axis=1), image.coarse, uneven, strong], axis=0)
    return _Flat(_over(tiles.pixels, np.sqrt(variance)), brightness, variance, score)


def _joined(quiet: Measured, flat: _Flat) -> Measured:
    """Return the measurements of the quietest windows and, if there are any, of flat tiles."""
    at, log_variance, error = ([values] for values in (quiet.brightness, quiet.log_variance, quiet.error))
    is_flat = flat.score <= _FLAT_SCORE
    bins = _bins(flat.brightness)
    for value in np.unique(bins[is_flat]):
        alike = is_flat & (bins == value)
        logs = np.log(np.maximum(flat.variance[alike], 1e-6))
        at.append(flat.brightness[alike].mean(keepdims=True))
        log_variance.append(logs.mean(keepdims=True))
        error.append(np.atleast_1d(np.sqrt(_FLAT_ERROR**2 + _TILE_SPREAD**2 / len(logs))))
    return Measured(
        *(np.concatenate([np.atleast_1d(v) for v in values]) for values in (at, log_variance, error))
    )


def _common(flats: list[_Flat]) -> np.ndarray:
    """Return the covariance of all images, each with the weight of its flat tiles."""
    pixels, _ = _gather(flats)
    return _covariance(pixels)


def _covariance(pixels: np.ndarray, trial: Trial | None = None) -> np.ndarray:
    """Return the covariance in tiles, plus the part that tiles hide, which `trial` measured.

    It is added once, at the end: tiles tell nothing of the noise's lowest frequencies, and added round by
    round these would grow without bound.
    """
    hidden = 0 if trial is None else trial.bias
    return with_unit_rms(tapered(autocovariance(pixels) + hidden))


def _gather(flats: list[_Flat]) -> tuple[np.ndarray, np.ndarray]:
    """Return the flat tiles of several images and their brightness; the flattest if hardly any is flat."""
    score = np.concatenate([flat.score for flat in flats])
    limit = max(
        _FLAT_SCORE, np.partition(score, min(_FEWEST_FLAT, len(score)) - 1)[min(_FEWEST_FLAT, len(score)) - 1]
    )
    chosen = [flat.score <= limit for flat in flats]
    return (
        np.concatenate([flat.pixels[best] for flat, best in zip(flats, chosen, strict=True)]),
        np.concatenate([flat.brightness[best] for flat, best in zip(flats, chosen, strict=True)]),
    )


def _model(levels: Levels, flats: list[_Flat], trial: Trial) -> NoiseModel:
    count = len(flats)
    source = np.arange(count) * min(count, MOST_SOURCES) // count
    common = _covariance(_gather(flats)[0], trial)
    own, windows = [], np.array([(flat.score <= _FLAT_SCORE).sum() for flat in flats])
    weights = []
    for number in range(source[-1] + 1):
        mine = [flat for flat, of in zip(flats, source, strict=True) if of == number]
        passed = np.concatenate([flat.pixels[flat.score <= _FLAT_SCORE] for flat in mine])
        weights.append(len(passed))
        own.append(_covariance(passed, trial) if len(passed) else common)
    log_level = np.array([np.log(levels.own[source == number]).mean() for number in range(len(own))])
    counts = np.array(weights, float)
    similar = of_similar(np.array(own), counts, log_level, common)
    mixed = shrunk(np.array(own), counts, similar, _COMMON_WEIGHT)
    tilt, middle, half_range = _tilt(*_gather(flats), trial)
    return NoiseModel(
        level=levels.common,
        level_spread=levels.common_spread,
        image_level=levels.own,
        image_level_spread=levels.own_spread,
        source=source,
        covariance=with_unit_rms(mixed),
        tilt=tilt,
        middle=middle,
        half_range=half_range,
        windows=windows,
    )


def _tilt(pixels: np.ndarray, brightness: np.ndarray, trial: Trial) -> tuple[np.ndarray, float, float]:
    """Return half the difference of covariance in bright and dark flat tiles, their middle, half distance."""
    dark = brightness <= np.median(brightness)
    fewer = min(dark.sum(), (~dark).sum())
    if not fewer:
        return np.zeros_like(trial.bias), float(brightness.mean()), 1.0
    low, high = brightness[dark].mean(), brightness[~dark].mean()
    difference = (_covariance(pixels[~dark], trial) - _covariance(pixels[dark], trial)) / 2
    share = fewer / (fewer + _TILT_WEIGHT)
    return share * difference, float((low + high) / 2), float(max((high - low) / 2, 1.0))


def _bins(brightness: np.ndarray) -> np.ndarray:
    return np.clip(brightness // KNOT_SPACING, 0, KNOTS - 2).astype(int)


def _rms(pixels: np.ndarray) -> np.ndarray:
    return np.sqrt((pixels**2).mean(axis=(1, 2, 3)))


def _over(pixels: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    return pixels / np.maximum(sigma, 1e-3)[..., None, None, None]
