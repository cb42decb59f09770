"""Subtract the fixed pattern of a sensor, as dark frames show it: banding, hot pixels, uneven black.

A dark frame is taken with the lens covered, at the exposure, gain and temperature of the images. It holds
the black level and the pattern. Only the pattern is subtracted, dark − median(dark) of each channel, so
that black level and brightness of the images stay.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import ImageError, UserError
from ..system.opencv import load_opencv
from .decode import white
from .image import read_image

_logger = logging.getLogger(__name__)

FEW_FRAMES = 8  # the mean of fewer adds more than 6 % to the noise of the images
_MAX_MEDIAN = 0.25  # of white; more is no dark frame


@dataclass(frozen=True, eq=False)
class DarkFrame:
    """The fixed pattern of a sensor.

    Attributes:
        pattern: float32 (H, W, C), C = 1 or 3, in grey levels of `dtype`; the median of each channel is 0.
        dtype: of the dark frames, and of the images that it fits: uint8, uint16 or float32.
        count: number of dark frames.
        sha256: of size, dtype and pattern.
    """

    pattern: np.ndarray
    dtype: np.dtype
    count: int
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha256(f"{self.pattern.shape} {self.dtype}".encode())
        digest.update(np.ascontiguousarray(self.pattern).data)
        object.__setattr__(self, "sha256", digest.hexdigest())

    def subtract(self, pixels: np.ndarray, name: str = "the image") -> np.ndarray:
        """Return an image without the pattern: a new array of the same shape and dtype.

        Integers are rounded to the nearest level and clipped to their range; float32 is not clipped.

        Args:
            pixels: (H, W, 1), (H, W, 3), or (H, W, 4) with alpha, which stays.
            name: of the image, for the error.

        Raises:
            ImageError: the dark frames do not fit the image.
        """
        self.check(pixels.shape, pixels.dtype, name)
        return self.subtract_rows(pixels, 0)

    def subtract_rows(self, pixels: np.ndarray, top: int) -> np.ndarray:
        """Do the same with some rows of an image that `check` accepted, from row `top` on."""
        colours = pixels[..., :3]
        pattern = np.broadcast_to(self.pattern[top : top + len(pixels)], colours.shape)
        result = _subtract(colours, pattern)
        return result if pixels.shape[2] < 4 else np.concatenate([result, pixels[..., 3:]], axis=2)

    def check(self, shape: tuple[int, ...], dtype: np.dtype, name: str) -> None:
        """Raise ImageError unless the dark frames fit an image of this shape and dtype."""
        if dtype != self.dtype:
            raise ImageError(
                f"{name} is {dtype} and the dark frames are {self.dtype}; take both at the same depth"
            )
        if shape[:2] != self.pattern.shape[:2]:
            raise ImageError(
                f"{name} has {_size(shape)} px and the dark frames have {_size(self.pattern.shape)} px; take "
                "both with the same settings, and neither cropped nor rotated"
            )
        if shape[2] < self.pattern.shape[2]:
            raise ImageError(f"{name} is grey and the dark frames have colours; take both in the same format")


def read_dark_frames(paths: Sequence[Path], white_level: float | None = None) -> DarkFrame:
    """Return the mean of dark frames, as the pattern to subtract.

    A few frames are reported as a warning, since the noise of their mean goes into the images.

    Args:
        paths: image files of one size and depth, at least one; one at a time is in memory.
        white_level: as of `read_image`, and that of the images.

    Raises:
        ImageError: a file cannot be read, or differs from the others in size or depth.
        UserError: the frames are not dark, or constant.
    """
    first = read_image(paths[0], white_level=white_level).pixels
    total, dtype = first.astype(np.float64), first.dtype
    for path in paths[1:]:
        pixels = read_image(path, white_level=white_level).pixels
        if (pixels.shape, pixels.dtype) != (first.shape, dtype):
            raise ImageError(
                f"{path} has {_size(pixels.shape)} px of {_channels(pixels)}, and {paths[0]} has "
                f"{_size(first.shape)} px of {_channels(first)}; dark frames are taken with the same settings"
            )
        total += pixels
    mean = (total / len(paths)).astype(np.float32)
    black = np.median(mean, axis=(0, 1))
    if black.max() > _MAX_MEDIAN * white(dtype):
        raise UserError(
            f"{paths[0]} is no dark frame: half of its pixels exceed {black.max() / white(dtype):.0%} of "
            "white; cover the lens and take it again"
        )
    pattern = mean - black
    if not pattern.any():
        raise UserError(
            f"all pixels of the dark frames are equal ({paths[0]} …): there is no pattern to subtract; "
            "raise the camera's black level, if it has that setting, or leave out --dark"
        )
    if len(paths) < FEW_FRAMES:
        _logger.warning(
            f"only {len(paths)} dark frames: the noise of their mean is added to the images; "
            f"take {FEW_FRAMES} or more"
        )
    return DarkFrame(pattern, dtype, len(paths))


def _subtract(pixels: np.ndarray, pattern: np.ndarray) -> np.ndarray:
    """Return pixels − pattern, both (H, W, C), in the dtype of the pixels."""
    if pixels.dtype == np.float32:
        return pixels - pattern
    cv2 = load_opencv()
    depth = cv2.CV_8U if pixels.dtype == np.uint8 else cv2.CV_16U
    flat = (np.ascontiguousarray(values).reshape(len(values), -1) for values in (pixels, pattern))
    return cv2.subtract(*flat, dtype=depth).reshape(pixels.shape)  # rounded and clipped in one pass


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}×{shape[0]}"


def _channels(pixels: np.ndarray) -> str:
    return f"{'grey' if pixels.shape[2] == 1 else 'colour'} {pixels.dtype}"
