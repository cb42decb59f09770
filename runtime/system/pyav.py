"""PyAV, FFmpeg's libraries, found when videos are converted."""

from __future__ import annotations

from typing import Any

from .packages import require

BT709 = 1  # a colour matrix, ITU-T H.273 table 4


def load_av() -> Any:
    """The av module.

    Raises:
        MissingPackageError: it is not installed, or does not load.
    """
    return require("av", extra="video")


def matrix_of(colorspace: int) -> str:
    """The matrix between a video's YUV and RGB, as `reformat` takes it.

    FFmpeg reads a video that does not say its matrix by ITU-R BT.601.

    Args:
        colorspace: what the video says, by ITU-T H.273 table 4.
    """
    return "ITU709" if colorspace == BT709 else "ITU601"
