"""A camera's noise as plain data: its level at each brightness, and its covariance."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...runtime.errors import ModelError, shorten
from ...runtime.system.files import parse_json, write_atomically

REACH_PX = 8  # covariance is known up to this shift in each direction
SHIFTS = 2 * REACH_PX + 1
KNOT_SPACING = 16  # grey levels between the knots of the level function: 0, 16, … 256
KNOTS = 256 // KNOT_SPACING + 1
FORMAT = "n2b-noise-model-1"


@dataclass(frozen=True)
class NoiseModel:
    """The noise of one camera's images, or of several cameras'.

    Images of like noise share a *source*, mostly one image each. In a source noise of unit RMS has the
    autocovariance R[a, b, i, j] = ⟨n_a(p) n_b(p + (i, j) − REACH_PX)⟩ of channels a and b, at the
    brightness `middle`; `tilt` is added to it once at `middle` + `half_range`, taken off at `middle` −
    `half_range`, in proportion between and constant beyond. Over brightness v it has the standard deviation
    `level` at v.

    Attributes:
        level: float64 (KNOTS,), σ in grey levels of 255 at brightness 0, 16, … 256, of all images together.
        level_spread: float64 (KNOTS,), standard deviation of the error of ln σ in `level`.
        image_level, image_level_spread: float64 (images, KNOTS), likewise of each image.
        source: int64 (images,), which covariance is an image's.
        covariance: float64 (sources, 3, 3, SHIFTS, SHIFTS); the mean of the channels' variances is 1.
        tilt: float64 (3, 3, SHIFTS, SHIFTS), how covariance changes with brightness.
        middle, half_range: grey levels.
        windows: int64 (images,), flat windows that covariance was measured in; with none an image has
            that of all.
    """

    level: np.ndarray
    level_spread: np.ndarray
    image_level: np.ndarray
    image_level_spread: np.ndarray
    source: np.ndarray
    covariance: np.ndarray
    tilt: np.ndarray
    middle: float
    half_range: float
    windows: np.ndarray

    def of_images(self, images: np.ndarray) -> NoiseModel:
        """Return a model of the images with these numbers, int64 (n,), in this order; they may repeat."""
        return replace(
            self,
            image_level=self.image_level[images],
            image_level_spread=self.image_level_spread[images],
            source=self.source[images],
            windows=self.windows[images],
        )

    def covariance_at(self, source: int, brightness: float) -> np.ndarray:
        """Return the autocovariance of a source's noise of unit RMS at a brightness, like `tilt`."""
        position = np.clip((brightness - self.middle) / self.half_range, -1, 1)
        return self.covariance[source] + position * self.tilt

    def level_at(self, image: int, brightness: np.ndarray) -> np.ndarray:
        """Return σ of an image's noise, in grey levels, at brightnesses 0..255 of any shape."""
        return np.interp(brightness, knots(), self.image_level[image])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; covariances to four decimal places."""
        values: dict[str, Any] = {"format": FORMAT, "reach_px": REACH_PX}
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            values[name] = np.round(value, 4).tolist() if isinstance(value, np.ndarray) else float(value)
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> NoiseModel:
        """Return the inverse of `to_dict`.

        Raises:
            ModelError: it is no noise model, or of another shape.
        """
        if values.get("format") != FORMAT or values.get("reach_px") != REACH_PX:
            raise ModelError(f"this is not a noise model ({FORMAT}, reach {REACH_PX} px expected)")
        try:
            arrays = {
                name: np.asarray(values[name], np.int64 if name in ("source", "windows") else np.float64)
                for name in cls.__dataclass_fields__
                if name not in ("middle", "half_range")
            }
            model = cls(**arrays, middle=float(values["middle"]), half_range=float(values["half_range"]))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ModelError(f"the noise model is damaged ({shorten(error, 60)})") from error
        images, sources = model.source.size, len(np.atleast_1d(model.covariance))
        expected = {
            "level": (KNOTS,), "level_spread": (KNOTS,), "image_level": (images, KNOTS),
            "image_level_spread": (images, KNOTS), "source": (images,), "windows": (images,),
            "covariance": (sources, 3, 3, SHIFTS, SHIFTS), "tilt": (3, 3, SHIFTS, SHIFTS),
        }  # fmt: skip
        for name, shape in expected.items():
            if arrays[name].shape != shape or not np.isfinite(arrays[name]).all():
                raise ModelError(f"the noise model is damaged ({name} is {arrays[name].shape}, not {shape})")
        if not (math.isfinite(model.middle) and 0 < model.half_range < math.inf):
            raise ModelError("the noise model is damaged (its brightnesses are no range)")
        if not images or not (model.source.min() >= 0 and model.source.max() < sources):
            raise ModelError("the noise model is damaged (an image has no covariance)")
        return model

    def save(self, path: Path) -> None:
        """Write it as JSON, atomically."""
        write_atomically(path, (json.dumps(self.to_dict()) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> NoiseModel:
        """Read the result of `save`.

        Raises:
            ModelError: there is none, or it is damaged.
        """
        try:
            values = parse_json(path.read_bytes())
        except OSError as error:
            raise ModelError(f"no noise model in {path}: {error.strerror}") from error
        except ValueError as error:
            raise ModelError(f"the noise model in {path} is damaged ({shorten(error, 60)})") from error
        if not isinstance(values, dict):
            raise ModelError(f"{path} contains no noise model")
        return cls.from_dict(values)


def knots() -> np.ndarray:
    """Return the brightnesses of the level function's values: 0, 16, … 256."""
    return np.arange(KNOTS) * float(KNOT_SPACING)
