"""Blur filters that make the labels: y_b = blur(x), free of noise even where it loses detail.

A label that still contains noise teaches NENet to leave that noise out of ñ, and the training may
collapse; the default therefore smooths with a Gaussian before the bilateral filter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...runtime.errors import UserError
from ...runtime.images.convert import from_float, round_to_uint8, to_grey_levels
from ...runtime.system.opencv import load_opencv
from ...runtime.system.packages import check_installed
from ..models.value_transform import check_domain
from .bm3d import bm3d_label


@dataclass(frozen=True)
class Filter:
    """y_b = blur(x), uint8 or uint16 (H, W, 3) → the same. It can be sent to another process.

    In the domain "log" the filter is applied to t = 255 · log(v + 1) / log 256, so that its parameters are
    grey levels of 0..255 there too, and the result is transformed back. A median is the same in both.
    """

    name: str  # the kind, such as "mean"
    values: tuple[float | None, ...]  # all of its parameters
    domain: str = "linear"  # or "log"

    @property
    def is_slow(self) -> bool:
        """Return True if an image takes seconds and keeps one core busy: worth processes and a progress bar.

        Else it takes milliseconds, and OpenCV lets other threads run meanwhile.
        """
        return self.name == "bm3d"

    def __call__(self, image: np.ndarray) -> np.ndarray:
        blur = _KINDS[self.name].blur
        if image.dtype == np.uint16:
            return self._filter_deep(image, blur)
        if self.domain == "linear" or self.name == "median":  # it sorts, and a logarithm keeps the order
            return blur(image, *self.values)
        t = blur(_LOG_OF_LEVEL[image], *self.values)
        return round_to_uint8(np.expm1(t * (np.log(256) / 255)))

    def _filter_deep(self, image: np.ndarray, blur: Callable[..., np.ndarray]) -> np.ndarray:
        """Filter uint16, in float32 on the scale of 8 bits."""
        if self.name == "median":
            return _deep_median(image, self.values[0] or 0)
        levels = to_grey_levels(image)
        if self.domain == "linear":
            levels = blur(levels, *self.values)
        else:
            t = blur(np.log1p(levels) * np.float32(255 / np.log(256)), *self.values)
            levels = np.expm1(t * np.float32(np.log(256) / 255))
        return from_float(levels / np.float32(255), np.uint16)


def parse_filter(spec: str, domain: str = "linear") -> Filter:
    """Parse a filter: `KIND` or `KIND:PARAMETER,…`; missing parameters take their defaults.

    Args:
        domain: "linear" filters the image, "log" its logarithm.

    Raises:
        UserError: unknown filter or domain, or invalid parameters.
        MissingPackageError: the filter is BM3D, and its package is not installed.
    """
    check_domain(domain)
    name, _, rest = spec.partition(":")
    kind = _KINDS.get(name)
    if kind is None:
        raise UserError(f"unknown filter '{spec}'; known: {', '.join(k.usage for k in _KINDS.values())}")
    try:
        given = tuple(float(value) for value in rest.split(",")) if rest else ()
    except ValueError as error:
        raise UserError(f"filter '{spec}' is not of the form {kind.usage}") from error
    if len(given) > len(kind.parameters):
        raise UserError(f"filter '{spec}' is not of the form {kind.usage}")
    for value, parameter in zip(given, kind.parameters, strict=False):
        parameter.check(value, spec)
    if name == "bm3d":
        check_installed("bm3d", extra="bm3d")
    defaults = tuple(parameter.default for parameter in kind.parameters)
    return Filter(name, given + defaults[len(given) :], domain)


# Each maps uint8 or float32 (H, W, 3) to the same type, on the 0..255 scale.


def _bilateral(
    image: np.ndarray, diameter_px: float, sigma_colour: float, sigma_space: float, presmooth: float
) -> np.ndarray:
    smooth = _gaussian(image, presmooth)
    return load_opencv().bilateralFilter(smooth, round(diameter_px), sigma_colour, sigma_space)


def _gaussian(image: np.ndarray, sigma_px: float) -> np.ndarray:
    return load_opencv().GaussianBlur(image, (0, 0), sigma_px)


def _mean(image: np.ndarray, size_px: float) -> np.ndarray:
    cv2, size = load_opencv(), round(size_px)
    if size % 2:
        return cv2.blur(image, (size, size))
    weights = np.full(
        size + 1, 1 / size, np.float32
    )  # one more, and half of both ends: its middle is a pixel
    weights[[0, -1]] /= 2
    mean = cv2.sepFilter2D(image.astype(np.float32), -1, weights, weights)
    return round_to_uint8(mean) if image.dtype == np.uint8 else mean


def _median(image: np.ndarray, size_px: float) -> np.ndarray:
    return load_opencv().medianBlur(image, round(size_px) // 2 * 2 + 1)


def _deep_median(image: np.ndarray, size_px: float) -> np.ndarray:
    """Return the median of uint16, which OpenCV has for small sizes only: that of 256 levels at a time.

    Clipping keeps the order, so that the median of the clipped image is right where it is not at a limit.
    """
    steps = _median((image >> 8).astype(np.uint8), size_px)
    result = np.empty_like(image)
    for step in np.unique(steps):
        first = int(step) << 8
        part = _median((np.clip(image, first, first + 255) - first).astype(np.uint8), size_px)
        chosen = steps == step
        result[chosen] = part[chosen] + np.uint16(first)
    return result


def _bm3d(image: np.ndarray, sigma: float | None) -> np.ndarray:
    label = bm3d_label(image.astype(np.float32), sigma)
    return round_to_uint8(label) if image.dtype == np.uint8 else label


@dataclass(frozen=True)
class _Parameter:
    name: str
    default: float | None
    minimum: float
    maximum: float  # larger ones take minutes an image, or more memory than there is
    is_whole: bool = False

    def check(self, value: float, spec: str) -> None:
        """Raise UserError unless the value is within the bounds; NaN is not."""
        if self.minimum <= value <= self.maximum and not (self.is_whole and value % 1):
            return
        kind = "a whole number" if self.is_whole else "a number"
        raise UserError(
            f"filter '{spec}': {self.name} is {value:g}; it must be {kind} from {self.minimum:g} to "
            f"{self.maximum:g}"
        )


@dataclass(frozen=True)
class _Kind:
    name: str
    blur: Callable[..., np.ndarray]
    parameters: tuple[_Parameter, ...]

    @property
    def usage(self) -> str:
        """Return the form, such as "mean[:SIZE]"."""
        return f"{self.name}[:{','.join(parameter.name for parameter in self.parameters)}]"


# Bilateral: what a Gaussian of σ 1.5 px leaves of the noise is a tenth after it (at σ 25 and 50),
# while the bilateral filter alone leaves a third or more.
_KINDS = {
    kind.name: kind
    for kind in (
        _Kind(
            "bilateral",
            _bilateral,
            (
                _Parameter("DIAMETER", 15, 1, 99, is_whole=True),
                _Parameter("SIGMA_COLOUR", 50, 0.1, 1000),
                _Parameter("SIGMA_SPACE", 7, 0.1, 1000),
                _Parameter("PRESMOOTH", 1.5, 0.1, 100),
            ),
        ),
        _Kind("gaussian", _gaussian, (_Parameter("SIGMA", 3, 0.1, 100),)),
        _Kind("mean", _mean, (_Parameter("SIZE", 31, 1, 999, is_whole=True),)),
        _Kind("median", _median, (_Parameter("SIZE", 31, 1, 255, is_whole=True),)),
        _Kind("bm3d", _bm3d, (_Parameter("SIGMA", None, 0.1, 255),)),  # None: estimated for each image
    )
}

_LOG_OF_LEVEL = (255 * np.log1p(np.arange(256)) / np.log(256)).astype(np.float32)
