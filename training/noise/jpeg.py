"""JPEG compression artifacts: blocks, ringing, and noise turned into patches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...runtime.system.opencv import load_opencv
from .level import Level, NoiseKind


@dataclass(frozen=True)
class JpegNoise(NoiseKind):
    """JPEG compression by OpenCV, its colours at half the resolution (4:2:0).

    By itself it is no noise, for it is the same at each call; it makes another noise, put before it in a
    chain, that of a camera.
    """

    usage: ClassVar = "jpeg:QUALITY"
    limits: ClassVar = ((1, 100),)
    quality: Level  # 1 (worst) to 100, rounded to a whole number

    def __call__(self, clean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a compressed copy of `clean`, uint8 (H, W, 3)."""
        cv2 = load_opencv()
        quality = round(self.quality.draw(rng))
        _, file = cv2.imencode(
            ".jpg", cv2.cvtColor(clean, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
        )
        return cv2.cvtColor(cv2.imdecode(file, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
