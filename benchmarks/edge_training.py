"""Train an edge network for a time, from a model that is there; interrupted, it goes on."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from n2b.training.checkpoint import CHECKPOINT_NAME, load_checkpoint, save_checkpoint
from n2b.training.models.onnx_weights import read_weights
from n2b.training.models.refold import unfolded_weights
from n2b.training.models.registry import build_denoiser
from torch import Tensor, nn

ARCH = "edge"
_WARMUP_STEPS = 50
_BETAS, _MAX_GRADIENT = (0.9, 0.99), 1.0
_EPSILON = 1e-6  # of squared errors in [0, 1]: below a quarter of a grey level an error counts less and less
_SAVE_EVERY = 250  # steps


class EdgeTraining:
    """A network in training; `step` and `elapsed_s` say how far it is.

    Args:
        start: an .onnx file of an edge network, to begin with its weights.
        minutes: of the whole training, in which the learning rate falls to 0.

    Raises:
        ModelError: the model to start from is none, or of another network.
    """

    def __init__(self, start: Path, minutes: float, learning_rate: float, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.step, self.elapsed_s = 0, 0.0
        self._minutes, self._learning_rate = minutes, learning_rate
        self.network: nn.Module = build_denoiser(ARCH)
        self.network.load_state_dict(unfolded_weights(read_weights(start), self.network))
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        learned = [weight for weight in self.network.parameters() if weight.requires_grad]
        self._adam = torch.optim.Adam(learned, learning_rate, betas=_BETAS, fused=True)

    def run(self, errors: Callable[[], Tensor]) -> Iterator[float]:
        """Train to the end of the time; yield the loss of each step.

        Args:
            errors: returns the network's results on the crops of step `step`, less what they should be,
                float32 N×3×S×S.
        """
        before, started = self.elapsed_s, time.monotonic()
        while True:
            self.elapsed_s = before + time.monotonic() - started
            progress = self.elapsed_s / 60 / self._minutes
            if progress >= 1:
                return
            self._adam.param_groups[0]["lr"] = self._rate(progress)
            loss = (errors().square().mean(dim=(1, 2, 3)) + _EPSILON).sqrt().mean()
            self._adam.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), _MAX_GRADIENT)
            self._adam.step()
            self.step += 1
            yield float(loss.detach())

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
        return self._learning_rate * warmup * 0.5 * (1 + math.cos(math.pi * progress))


def train_and_save(
    training: EdgeTraining, errors: Callable[[], Tensor], out: Path, facts: dict[str, Any]
) -> int:
    """Train to the end of the time or to Ctrl-C, with a checkpoint now and then and at the end.

    Returns:
        The exit status, 0, or 130 if it was interrupted.
    """
    losses = []
    try:
        for loss in training.run(errors):
            losses.append(loss)
            if training.step % _SAVE_EVERY == 0:
                minutes = training.elapsed_s / 60
                print(f"step {training.step}: loss {np.mean(losses):.5f}, {minutes:.1f} min", flush=True)
                losses.clear()
                training.save(out, facts)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        return 130
    finally:
        training.save(out, facts)
    print(f"{out}: {training.step} steps; n2b-export {out} --dynamic exports it")
    return 0
