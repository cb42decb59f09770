"""A training that adds what a model does not know yet to what it does already.

Half of its aim is Noise2Blur's: DnNet(c + n) ≈ c, with n of the noise models. The other half holds it to
what it was: on noisy images of the cameras that the first model was trained on, its result has to be the
first model's. Without that, these cameras lose 0.6 to 1.3 dB while others gain.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from n2b.training.checkpoint import CHECKPOINT_NAME, load_checkpoint, save_checkpoint
from n2b.training.data.image_pool import ImagePool
from n2b.training.models.collapsible import fold
from n2b.training.models.onnx_weights import read_weights
from n2b.training.models.refold import unfolded_weights
from n2b.training.models.registry import build_denoiser
from torch import Tensor, nn

from .noises import NoiseMixture

ARCH = "edge"
_WARMUP_STEPS = 50
_BETAS, _MAX_GRADIENT = (0.9, 0.99), 1.0
_EPSILON = 1e-6  # of squared errors in [0, 1]: below a quarter of a grey level an error counts less and less


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


@dataclass
class Training:
    """A network in training; `step` and `elapsed_s` say how far it is.

    Raises:
        ModelError: the model to start from is none, or of another network.
    """

    settings: Settings
    step: int = 0
    elapsed_s: float = 0.0
    network: nn.Module = field(init=False)

    def __post_init__(self) -> None:
        torch.manual_seed(self.settings.seed)
        self.network = build_denoiser(ARCH)
        start = unfolded_weights(read_weights(self.settings.start), self.network)
        self.network.load_state_dict(start)
        self._first = fold(copy.deepcopy(self.network)).eval()
        for network in (self.network, self._first):
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        learned = [weight for weight in self.network.parameters() if weight.requires_grad]
        self._adam = torch.optim.Adam(learned, self.settings.learning_rate, betas=_BETAS, fused=True)

    def run(self, crops: Crops) -> Iterator[float]:
        """Train to the end of the time; yield the loss of each step."""
        before, started = self.elapsed_s, time.monotonic()
        while True:
            self.elapsed_s = before + time.monotonic() - started
            progress = self.elapsed_s / 60 / self.settings.minutes
            if progress >= 1:
                return
            self._adam.param_groups[0]["lr"] = self._rate(progress)
            error = self.errors(crops)
            loss = (error.square().mean(dim=(1, 2, 3)) + _EPSILON).sqrt().mean()
            self._adam.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), _MAX_GRADIENT)
            self._adam.step()
            self.step += 1
            yield float(loss.detach())

    def errors(self, crops: Crops) -> Tensor:
        """Return the network's results on a step's crops less what they should be, float32 N×3×S×S."""
        settings = self.settings
        rng = np.random.default_rng([settings.seed, 3, self.step])
        clean = _to_float(crops.clean, settings.batch - settings.kept, rng)
        noisy = (clean + crops.noise.over(clean, rng)).clamp(0, 1)
        own = _to_float(crops.kept, settings.kept, rng)
        with torch.no_grad():
            same = self._first(own.contiguous(memory_format=torch.channels_last)).clamp(0, 1)
        given = torch.cat([noisy, own]).contiguous(memory_format=torch.channels_last)
        return self.network(given) - torch.cat([clean, same])

    def save(self, folder: Path, facts: dict[str, Any]) -> None:
        """Write the checkpoint, of which n2b-export makes a model, and from which `restore` goes on."""
        state = {
            "config": {"arch": ARCH},
            "trained": {**facts, "steps": self.step, "hours": round(self.elapsed_s / 3600, 3)},
            "networks": {"denoiser": self.network.state_dict()},
            "optimizer": self._adam.state_dict(),
            "position": {"step": self.step, "elapsed_s": self.elapsed_s},
        }
        save_checkpoint(folder / CHECKPOINT_NAME, state)

    def restore(self, folder: Path) -> None:
        """Go on from the checkpoint of a folder, if there is one."""
        if not (folder / CHECKPOINT_NAME).is_file():
            return
        state = load_checkpoint(folder)
        self.network.load_state_dict(state["networks"]["denoiser"])
        self._adam.load_state_dict(state["optimizer"])
        self.step, self.elapsed_s = state["position"]["step"], state["position"]["elapsed_s"]

    def _rate(self, progress: float) -> float:
        warmup = min(1.0, (self.step + 1) / _WARMUP_STEPS)
        return self.settings.learning_rate * warmup * 0.5 * (1 + math.cos(math.pi * progress))


def _to_float(pool: ImagePool, count: int, rng: np.random.Generator) -> Tensor:
    return pool.crops(pool.draw(count, rng)).float().div_(255)
