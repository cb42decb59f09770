"""A raw file as a camera makes it: DNG, with a Bayer pattern."""

from __future__ import annotations

from pathlib import Path

import numpy as np

BLACK, WHITE = 64, 4095
NEUTRAL = 0.5, 1.0, 0.7  # the camera's red, green and blue of grey


def write_dng(path: Path, image: np.ndarray, *, has_balance: bool = True, orientation: int = 1) -> None:
    """Write grey values (H, W) in [0, 1], linear, both sides even, as the sensor of a camera sees them."""
    import tifffile

    def rationals(*values: float) -> list[int]:
        return [part for value in values for part in (round(value * 10_000), 10_000)]

    channels = np.array([[0, 1], [1, 2]])  # RGGB
    colours = np.tile(np.array(NEUTRAL)[channels], (image.shape[0] // 2, image.shape[1] // 2))
    mosaic = np.rint(BLACK + (WHITE - BLACK) * image * colours).astype(np.uint16)
    tags = [
        (33421, 3, 2, (2, 2)),  # CFARepeatPatternDim
        (33422, 1, 4, bytes([0, 1, 1, 2])),  # CFAPattern
        (50706, 1, 4, bytes([1, 4, 0, 0])),  # DNGVersion
        (50707, 1, 4, bytes([1, 1, 0, 0])),  # DNGBackwardVersion
        (50708, 2, 0, "n2b test"),  # UniqueCameraModel
        (50714, 3, 1, BLACK),
        (50717, 3, 1, WHITE),
        (50721, 10, 9, rationals(1, 0, 0, 0, 1, 0, 0, 0, 1)),  # ColorMatrix1
        (50778, 3, 1, 21),  # CalibrationIlluminant1: D65
        (274, 3, 1, orientation),
    ]
    if has_balance:
        tags.append((50728, 5, 3, rationals(*NEUTRAL)))  # AsShotNeutral
    extra = [(*tag, True) for tag in tags]
    tifffile.imwrite(path, mosaic, photometric=32803, extratags=extra, metadata=None, software=False)
