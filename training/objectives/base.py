"""The interface of a training method: its networks, random numbers and losses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from torch import Tensor, nn


@dataclass(frozen=True)
class Batch:
    """Crops, float32 N×3×H×W in [0, 1], in the domain that the network works in."""

    noisy: Tensor  # x = y + n
    clean: Tensor  # c, unrelated to x
    target: Tensor | None = None  # of x: its label y_b = blur(x), its clean original or a second noisy copy
    random: dict[str, Tensor] = field(default_factory=dict)  # what `Objective.draw` gave, by name
    image: Tensor | None = None  # int64 (N,), the number of the noisy image of each x

    def part(self, which: slice) -> Batch:
        """Return some of the crops."""
        return Batch(
            noisy=self.noisy[which],
            clean=self.clean[which],
            target=None if self.target is None else self.target[which],
            image=None if self.image is None else self.image[which],
            random={name: values[which] for name, values in self.random.items()},
        )


class Objective(Protocol):
    """A method: which networks it trains, and the losses of a step.

    The loop adds the losses up, goes backward once and steps one optimiser a network; which loss
    reaches which network is decided here, by where gradients are stopped.
    """

    networks: dict[str, nn.Module]  # "denoiser" is the one that is kept

    def draw(self, rng: np.random.Generator, count: int, patch_px: int) -> dict[str, np.ndarray]:
        """Draw the random numbers of a step for `count` crops, by name; the first axis is the crop.

        They are drawn here, on the host and for the crops of all processes, and not in `losses`, so that a
        step is decided by its number and the seed alone, however many processes share it.
        """
        ...

    def losses(self, batch: Batch, *, is_initial: bool) -> dict[str, Tensor]:
        """Return scalar losses by name, means over the crops.

        Args:
            is_initial: the training is in its initial stage; methods that have none do not ask.
        """
        ...
