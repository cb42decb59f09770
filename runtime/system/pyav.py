"""Load PyAV, which contains FFmpeg's libraries."""

from __future__ import annotations

from typing import Any

from .packages import require

BT709 = 1  # colour matrix, ITU-T H.273 table 4


def load_av() -> Any:
    """Return the av module.

    Raises:
        MissingPackageError: it is not installed or cannot be loaded.
    """
    return require("av", extra="video")


def matrix_of(colorspace: int) -> str:
    """Return the matrix between a video's YUV and RGB, as an argument of `reformat`.

    Like FFmpeg, take ITU-R BT.601 for a video without one.
    """
    return "ITU709" if colorspace == BT709 else "ITU601"
