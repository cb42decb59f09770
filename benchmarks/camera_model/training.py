"""A training that adds what a model does not know yet to what it does already.

Half of its aim is Noise2Blur's: DnNet(c + n) ≈ c, with n of the noise models. The other half holds it to
what it was: on noisy images of the cameras that the first model was trained on, its result has to be the
first model's. Without that, these cameras lose 0.6 to 1.3 dB while others gain.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from n2b.training.data.image_pool import ImagePool
from n2b.training.models.collapsible import fold
from torch import Tensor

from benchmarks.edge_training import EdgeTraining

from .noises import NoiseMixture


@dataclass(frozen=True)
class Settings:
    """Numbers of a training; `kept` of the `batch` crops are of the first model's own images."""

    start: Path
    minutes: float
    learning_rate: float
    batch: int
    kept: int
    seed: int = 0


@dataclass(frozen=True)
class Crops:
    """Where crops come from: clean photographs, the noise for them, and noisy images to stay the same on."""

    clean: ImagePool
    noise: NoiseMixture
    kept: ImagePool


class Training:
    """A network in training, next to the one that it started from.

    Raises:
        ModelError: the model to start from is none, or of another network.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.edge = EdgeTraining(settings.start, settings.minutes, settings.learning_rate, settings.seed)
        self._first = fold(copy.deepcopy(self.edge.network)).eval()
        self._first.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def errors(self, crops: Crops) -> Tensor:
        """Return the network's results on a step's crops less what they should be, float32 N×3×S×S."""
        settings = self.settings
        rng = np.random.default_rng([settings.seed, 3, self.edge.step])
        clean = _to_float(crops.clean, settings.batch - settings.kept, rng)
        noisy = (clean + crops.noise.over(clean, rng)).clamp(0, 1)
        own = _to_float(crops.kept, settings.kept, rng)
        with torch.no_grad():
            same = self._first(own.contiguous(memory_format=torch.channels_last)).clamp(0, 1)
        given = torch.cat([noisy, own]).contiguous(memory_format=torch.channels_last)
        return self.edge.network(given) - torch.cat([clean, same])


def _to_float(pool: ImagePool, count: int, rng: np.random.Generator) -> Tensor:
    return pool.crops(pool.draw(count, rng)).float().div_(255)
