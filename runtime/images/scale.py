"""Check the range of deep images, and scale those whose white is not the largest value of their dtype."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from ..errors import ImageError

_logger = logging.getLogger(__name__)

MAX_FLOAT = 10.0  # noise exceeds 1; a larger value means another scale, such as 0..255
_DEPTHS = (8, 10, 12, 14)  # bits of sensors whose values are stored in 16
_OFTEN_DARK = 14  # an image that uses no more of 16 bits may also be dark


def check_range(pixels: np.ndarray) -> None:
    """Raise ImageError if float32 pixels are not finite or not on the scale of 0..1."""
    if pixels.dtype != np.float32:
        return
    lowest, highest = pixels.min(), pixels.max()
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        raise ImageError("the image contains NaN or infinite values; replace them first")
    if highest > MAX_FLOAT:
        raise ImageError(
            f"a float32 image must be in [0, 1] and this one reaches {highest:g}; scale it, or name the "
            "value of white with --white-level (read_image(white_level=…))"
        )


def to_full_scale(pixels: np.ndarray, white_level: float) -> np.ndarray:
    """Scale uint16 or float32 pixels so that `white_level` becomes white; uint8 is returned itself.

    Raises:
        ImageError: a uint16 image is brighter, or the level is not a number above 0.
    """
    if not (np.isfinite(white_level) and white_level > 0):
        raise ImageError(f"a white level is a number above 0, not {white_level:g}")
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.float32:
        return pixels / np.float32(white_level)
    if pixels.max() > white_level:
        raise ImageError(f"the image reaches {pixels.max()}, above the white level of {white_level:g}")
    return _scaled(pixels, 65535 / white_level)


def from_full_scale(pixels: np.ndarray, white_level: float) -> np.ndarray:
    """Undo `to_full_scale`, also for pixels that were denoised meanwhile."""
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.float32:
        return pixels * np.float32(white_level)
    return _scaled(pixels, white_level / 65535)


def _scaled(pixels: np.ndarray, factor: float) -> np.ndarray:
    """Multiply uint16 pixels and round, by a table of all values."""
    table = np.rint(np.arange(65536) * factor).clip(0, 65535).astype(np.uint16)
    return table[pixels]


class ScaleHints:
    """Collects what `scale_hint` returns for many images, for one warning."""

    def __init__(self) -> None:
        self._first = ""
        self._count = 0

    def add(self, path: str | Path, hint: str) -> None:
        """Count an image."""
        self._count += 1
        self._first = self._first or f"{path}: {hint}"

    def log(self) -> None:
        """Log one warning for all images since the last one."""
        if self._count:
            others = f"; {self._count - 1} more images are alike" if self._count > 1 else ""
            _logger.warning(f"{self._first}{others}")
        self._first, self._count = "", 0


def scale_hint(pixels: np.ndarray) -> str | None:
    """Return what to say about uint16 pixels that look like fewer bits, as a clause; None if they do not."""
    if pixels.dtype != np.uint16:
        return None
    highest = int(pixels.max())
    bits = next((bits for bits in _DEPTHS if highest < 1 << bits), None)
    if not highest or bits is None or (bits == _OFTEN_DARK and highest != (1 << bits) - 1):
        return None
    white = (1 << bits) - 1
    return (
        f"its 16-bit samples reach only {highest}, like {bits}-bit data; if {white} is white, "
        f"pass --white-level {white} (white_level={white})"
    )
