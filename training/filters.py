"""Blur filters that make the labels: y_b = blur(x), free of noise even where it loses detail.

A label that still holds noise teaches NENet to leave that noise out of ñ, and the training may
collapse; the default therefore smooths with a Gaussian before the bilateral filter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..runtime.errors import UserError
from ..runtime.opencv import load_opencv

Filter = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class _Kind:
    usage: str
    defaults: tuple[float, ...]
    blur: Callable[..., np.ndarray]


def parse_filter(spec: str) -> Filter:
    """The filter that a text names, as a function of a uint8 (H, W, 3) image that gives its like.

    Raises:
        UserError: the text names no filter, or its parameters do not fit.
    """
    name, _, rest = spec.partition(":")
    kind = _KINDS.get(name)
    if kind is None:
        raise UserError(f"unknown filter '{spec}'; known: {', '.join(k.usage for k in _KINDS.values())}")
    try:
        given = tuple(float(value) for value in rest.split(",")) if rest else ()
    except ValueError as error:
        raise UserError(f"filter '{spec}' is not of the form {kind.usage}") from error
    if len(given) > len(kind.defaults) or not all(0 < value < 1e6 for value in given):
        raise UserError(f"filter '{spec}' is not of the form {kind.usage}, with positive numbers")
    values = given + kind.defaults[len(given) :]
    return lambda image: kind.blur(load_opencv(), image, *values)


def _bilateral(
    cv2: Any, image: np.ndarray, diameter_px: float, sigma_colour: float, sigma_space: float, presmooth: float
) -> np.ndarray:
    smooth = _gaussian(cv2, image, presmooth)
    return cv2.bilateralFilter(smooth, round(diameter_px), sigma_colour, sigma_space)


def _gaussian(cv2: Any, image: np.ndarray, sigma_px: float) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), sigma_px)


def _mean(cv2: Any, image: np.ndarray, size_px: float) -> np.ndarray:
    return cv2.blur(image, (round(size_px), round(size_px)))


def _median(cv2: Any, image: np.ndarray, size_px: float) -> np.ndarray:
    return cv2.medianBlur(image, round(size_px) // 2 * 2 + 1)


# Bilateral: what a Gaussian of σ 1.5 px leaves of the noise is a tenth after it (at σ 25 and 50),
# where the bilateral filter alone leaves a third or more.
_KINDS = {
    "bilateral": _Kind(
        "bilateral[:DIAMETER,SIGMA_COLOUR,SIGMA_SPACE,PRESMOOTH]", (15, 50, 7, 1.5), _bilateral
    ),
    "gaussian": _Kind("gaussian[:SIGMA]", (3,), _gaussian),
    "mean": _Kind("mean[:SIZE]", (31,), _mean),
    "median": _Kind("median[:SIZE]", (31,), _median),
}
