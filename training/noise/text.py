"""Text written over the image, as subtitles and watermarks are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ...runtime.system.opencv import load_opencv
from .level import Level, NoiseKind

_LETTERS = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"))
_LENGTHS = (3, 12)  # letters of a string, both included
_SCALES = (0.4, 1.6)  # of OpenCV's fonts: capitals of about 9 to 35 px
_THICKNESSES_PX = (1, 3)
_FONTS = 8  # OpenCV numbers its Hershey fonts from 0
_MARGIN_PX = 8  # letters reach a little over the box that OpenCV gives for them


@dataclass(frozen=True)
class TextNoise(NoiseKind):
    """Random strings in random fonts, sizes and colours at random places, until they cover a fraction p.

    The covered pixels take the letters' colour whole (no transparency). The last string is broken off
    where p is met, so the fraction is exact to a pixel.

    The letters' shapes are OpenCV's: another major version of it draws other fonts.
    """

    usage: ClassVar = "text:FRACTION"
    limits: ClassVar = ((0, 0.9),)  # ever more strings would fall on each other
    label_filter: ClassVar = "median:35"
    replaces: ClassVar = True
    fraction: Level  # p, of the pixels

    def __call__(self, clean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        cv2 = load_opencv()
        noisy = clean.copy()
        covered = np.zeros(clean.shape[:2], bool)
        missing_px = round(self.fraction.draw(rng) * covered.size)
        while missing_px > 0:
            string, (rows, columns) = _place(_draw_string(cv2, rng), covered.shape, rng)
            gained = string & ~covered[rows, columns]
            if gained.sum() > missing_px:
                string &= _is_before(gained, missing_px)
                gained &= string
            noisy[rows, columns][string] = rng.integers(0, 256, clean.shape[2], np.uint8)
            covered[rows, columns] |= string
            missing_px -= int(gained.sum())
        return noisy


def _draw_string(cv2: Any, rng: np.random.Generator) -> np.ndarray:
    """Render a string as a bool mask (h, w)."""
    text = "".join(rng.choice(_LETTERS, rng.integers(*_LENGTHS, endpoint=True)))
    font, scale = int(rng.integers(_FONTS)), rng.uniform(*_SCALES)
    thickness_px = int(rng.integers(*_THICKNESSES_PX, endpoint=True))
    (width, height), below = cv2.getTextSize(text, font, scale, thickness_px)
    canvas = np.zeros((height + below + 2 * _MARGIN_PX, width + 2 * _MARGIN_PX), np.uint8)
    cv2.putText(canvas, text, (_MARGIN_PX, _MARGIN_PX + height), font, scale, 255, thickness_px, cv2.LINE_8)
    return canvas > 127  # some versions of OpenCV smooth the letters' edges


def _place(
    string: np.ndarray, shape: tuple[int, ...], rng: np.random.Generator
) -> tuple[np.ndarray, tuple[slice, slice]]:
    """Place a string at random; return its visible part and the rows and columns of it."""
    starts = [int(rng.integers(size)) - extent // 2 for size, extent in zip(shape, string.shape, strict=True)]
    inside = [
        slice(max(0, start), min(size, start + extent))
        for start, size, extent in zip(starts, shape, string.shape, strict=True)
    ]
    seen = [slice(part.start - start, part.stop - start) for part, start in zip(inside, starts, strict=True)]
    return string[seen[0], seen[1]], (inside[0], inside[1])


def _is_before(gained: np.ndarray, count: int) -> np.ndarray:
    """Return the mask of a string cut off after `count` newly covered pixels, from left to right."""
    by_columns = gained.T
    counted = by_columns.cumsum().reshape(by_columns.shape).T
    return counted <= count
