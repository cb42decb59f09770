"""Convert images to a network's values and back in numpy, as the graph's input/output contract does."""

from __future__ import annotations

import math

import numpy as np

_LOG_256 = np.float32(math.log(256))


def to_network(images: np.ndarray, transform: str) -> np.ndarray:
    """Return the input of a network, float32 N×C×H×W in [0, 1].

    Args:
        images: N×H×W×C, uint8, or float32 in [0, 1].
        transform: the network's value transform, "identity" or "log".
    """
    x = images if images.dtype == np.float32 else images.astype(np.float32) * np.float32(1 / 255)
    x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    return np.log1p(255 * np.maximum(x, 0)) / _LOG_256 if transform == "log" else x


def from_network(result: np.ndarray, transform: str) -> np.ndarray:
    """Return the images of a network's result, clamped, float32 N×H×W×C in [0, 1].

    Args:
        result: float32 N×C×H×W.
    """
    x = np.clip(result, 0, 1).transpose(0, 2, 3, 1)
    return np.clip(np.expm1(x * _LOG_256) / 255, 0, 1) if transform == "log" else x


def to_levels(values: np.ndarray) -> np.ndarray:
    """Return values in [0, 1] as uint8, rounded to the nearest level."""
    return np.floor(values * np.float32(255) + np.float32(0.5)).astype(np.uint8)
