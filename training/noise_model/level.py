"""The noise level function of each image and of all, from measurements at single brightnesses.

ln σ² at brightness v in image i is taken for a Gaussian process in two parts, g(v) + h_i(v): what all images
share and what is an image's own, smooth both. Given measurements with errors, its mean and spread follow in
closed form (Rasmussen & Williams, "Gaussian Processes for Machine Learning", 2006, eq. 2.23–2.24); where
an image has no measurement of a brightness, its other brightnesses and the other images do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .model import KNOT_SPACING, knots

# standard deviations of ln σ²: of the process, and the lengths in grey levels over which it is smooth
_SHARED_SHAPE, _SHARED_LENGTH = 0.8, 64.0
_OWN_STRENGTH = 0.7  # another exposure, another camera: the whole curve up or down
_OWN_SHAPE, _OWN_LENGTH = 0.25, 64.0


@dataclass(frozen=True)
class Measured:
    """ln σ² of one image at some brightnesses, each (n,)."""

    brightness: np.ndarray
    log_variance: np.ndarray
    error: np.ndarray  # standard deviation of `log_variance`


@dataclass(frozen=True)
class Levels:
    """σ at the knots and the standard deviation of ln σ: (KNOTS,) of all, (images, KNOTS) of each."""

    common: np.ndarray
    common_spread: np.ndarray
    own: np.ndarray
    own_spread: np.ndarray


def fit_levels(images: list[Measured]) -> Levels:
    """Return level functions from the measurements of one image or more; some may have none, not all."""
    at = knots()
    mean = _weighted_mean(images)
    precision = np.linalg.inv(_shared_kernel(at, at))
    pull = np.zeros(len(at))
    parts = []
    for image in images:
        to_knots = _interpolation(image.brightness)
        own = _own_kernel(image.brightness, image.brightness) + np.diag(image.error**2)
        inverse = np.linalg.inv(own) if len(own) else own
        precision += to_knots.T @ inverse @ to_knots
        pull += to_knots.T @ inverse @ (image.log_variance - mean)
        parts.append((to_knots, inverse))
    uncertain = np.linalg.inv(precision)
    shared = uncertain @ pull
    own_mean, own_spread = [], []
    for image, (to_knots, inverse) in zip(images, parts, strict=True):
        gain = _own_kernel(at, image.brightness) @ inverse
        own_mean.append(mean + shared + gain @ (image.log_variance - mean - to_knots @ shared))
        rest = np.eye(len(at)) - gain @ to_knots
        left = _own_kernel(at, at) - gain @ _own_kernel(image.brightness, at)
        own_spread.append(np.diag(rest @ uncertain @ rest.T + left))
    return Levels(
        common=np.exp((mean + shared) / 2),
        common_spread=np.sqrt(np.diag(uncertain)) / 2,
        own=np.exp(np.array(own_mean) / 2),
        own_spread=np.sqrt(np.maximum(own_spread, 0)) / 2,
    )


def _weighted_mean(images: list[Measured]) -> float:
    values = np.concatenate([image.log_variance for image in images])
    weights = np.concatenate([image.error**-2.0 for image in images])
    return float(np.average(values, weights=weights))


def _shared_kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return _smooth(a, b, _SHARED_SHAPE, _SHARED_LENGTH) + 1e-6 * (a[:, None] == b)


def _own_kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return _OWN_STRENGTH**2 + _smooth(a, b, _OWN_SHAPE, _OWN_LENGTH)


def _smooth(a: np.ndarray, b: np.ndarray, deviation: float, length: float) -> np.ndarray:
    return deviation**2 * np.exp(-0.5 * ((a[:, None] - b) / length) ** 2)


def _interpolation(brightness: np.ndarray) -> np.ndarray:
    """Return weights (n, KNOTS) of the two knots next to each brightness."""
    distance = np.abs(brightness[:, None] - knots()) / KNOT_SPACING
    return np.clip(1 - distance, 0, 1)
