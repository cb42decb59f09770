"""Synthesise noise from a model: a bank of periodic fields, of which each crop gets two, mixed and rolled.

A sum cos φ·a + sin φ·b of two independent Gaussian fields has their covariance, and a roll of a periodic
field is one, too: a few hundred fields make more noise than a training sees, at the cost of reading it.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .model import KNOT_SPACING, KNOTS, NoiseModel
from .spectrum import fields, filter_of
from .tiles import LUMA

FIELDS = 256
_SMOOTH_PX = 5  # of the brightness that the level follows: a square of this side


class NoiseBank:
    """Synthesises the noise of a model over crops of one size.

    Args:
        model: what to synthesise.
        size_px: side of the crops, at least 17.
        seed: of the fields.
        device: where crops are.
    """

    def __init__(
        self, model: NoiseModel, size_px: int, *, seed: int, device: torch.device | str = "cpu"
    ) -> None:
        sources = len(model.covariance)
        self._each = max(2, FIELDS // sources)
        self._source = model.source
        self.size_px = size_px
        bank = torch.empty((sources * self._each, 2, 3, size_px, size_px), dtype=torch.float16)
        for source in range(sources):
            for end in (-1, 1):  # the dark and the bright one, of the same white noise
                root = filter_of(model.covariance[source] + end * model.tilt, size_px)
                white = np.random.default_rng([seed, 12, source])
                made = torch.from_numpy(fields(root, self._each, white))
                bank[source * self._each : (source + 1) * self._each, (end + 1) // 2] = made
        self._bank = bank.to(device)
        self._level = torch.from_numpy(model.image_level.astype(np.float32)).to(device)
        self._middle, self._half_range = model.middle, model.half_range

    def draw(self, rng: np.random.Generator, count: int) -> dict[str, np.ndarray]:
        """Draw random numbers of N crops: `of_image`, `mix` (N,), `field` (N, 2), `roll` (N, 2, 2)."""
        image = rng.integers(len(self._source), size=count)
        field = self._source[image][:, None] * self._each + rng.integers(self._each, size=(count, 2))
        return {
            "of_image": image,
            "field": field,
            "roll": rng.integers(self.size_px, size=(count, 2, 2)),
            "mix": rng.uniform(0, 2 * math.pi, count).astype(np.float32),
        }

    def over(self, clean: Tensor, drawn: dict[str, Tensor]) -> Tensor:
        """Return noise at the level that the model has at the brightness of crops.

        Args:
            clean: float32 N×3×S×S in [0, 1].
            drawn: result of `draw`, on the device.

        Returns:
            float32 N×3×S×S, on the scale of images in [0, 1].
        """
        brightness = brightness_of(clean)
        first, second = (self._rolled(drawn["field"][:, part], drawn["roll"][:, part]) for part in (0, 1))
        mix = drawn["mix"][:, None, None, None, None]
        ends = mix.cos() * first + mix.sin() * second
        bright = ((brightness - self._middle) / self._half_range).clamp(-1, 1) * 0.5 + 0.5
        noise = torch.lerp(ends[:, 0], ends[:, 1], bright)
        return noise * self.level(drawn["of_image"], brightness) / 255

    def level(self, image: Tensor, brightness: Tensor) -> Tensor:
        """Return σ of images' noise in grey levels.

        Args:
            image: int64 (N,).
            brightness: float32 N×1×H×W, 0..255.

        Returns:
            float32 N×1×H×W.
        """
        position = (brightness.flatten(1) / KNOT_SPACING).clamp(0, KNOTS - 1 - 1e-4)
        knot = position.long()
        level = self._level[image]
        low, high = level.gather(1, knot), level.gather(1, knot + 1)
        return torch.lerp(low, high, position - knot).view_as(brightness)

    def _rolled(self, field: Tensor, roll: Tensor) -> Tensor:
        """Return fields (N, 2, 3, S, S), each rolled by its shift (N, 2)."""
        size = self.size_px
        steps = torch.arange(size, device=field.device)
        rows, columns = (steps - roll[:, :1]) % size, (steps - roll[:, 1:]) % size
        index = (rows[:, :, None] * size + columns[:, None, :]).view(len(field), 1, 1, -1)
        chosen = self._bank[field].flatten(3)
        return chosen.gather(3, index.expand(-1, 2, 3, -1)).float().unflatten(3, (size, size))


def brightness_of(images: Tensor) -> Tensor:
    """Return the luma of images N×3×H×W in [0, 1], smoothed by a square of 5 px: float32 N×1×H×W, 0..255."""
    luma = torch.tensor(LUMA, device=images.device)[:, None, None]
    brightness = 255 * (images * luma).sum(1, keepdim=True).clamp(0, 1)
    half = _SMOOTH_PX // 2
    return F.avg_pool2d(F.pad(brightness, (half,) * 4, mode="replicate"), _SMOOTH_PX, 1)
