"""Distil a bundled model into the edge network; interrupted, the same command goes on.

    python -m benchmarks.distill gaussian --noise gaussian:0-50 --clean DATA/clean --out RUN --minutes 45
    n2b-export RUN --dynamic

The edge network learns to return what the model returns: photographs get noise, the model denoises them once,
and the network is trained on crops of both. No clean photograph is a target. The network starts from
the bundled `camera`, which is an edge network.
"""

from __future__ import annotations

import argparse
import math
import platform
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from n2b.runtime import Denoiser, read_image
from n2b.runtime.errors import N2BError
from n2b.runtime.images.convert import to_rgb_uint8
from n2b.runtime.model_files import CAMERA_BUNDLED, find_model
from n2b.runtime.sources import find_images
from n2b.training.checkpoint import CHECKPOINT_NAME, load_checkpoint, save_checkpoint
from n2b.training.models.onnx_weights import read_weights
from n2b.training.models.refold import unfolded_weights
from n2b.training.models.registry import build_denoiser
from n2b.training.noise import Noise, parse_noise
from torch import Tensor, nn

ARCH = "edge"
STORED_PX, PATCH_PX = 128, 64  # of the crops that the model denoises; of those that a step trains on
_CROPS_PER_IMAGE = 4
_WARMUP_STEPS = 50
_MAX_GRADIENT = 1.0
_EPSILON = 1e-6  # of squared errors in [0, 1]: below a quarter of a grey level an error counts less and less
_SAVE_EVERY = 250  # steps


@dataclass(frozen=True)
class Crops:
    """Noisy crops and what the model makes of them, both uint8 N×S×S×3."""

    noisy: np.ndarray
    targets: np.ndarray

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Return crops at random places, turned and mirrored alike, float32 N×3×P×P in [0, 1]."""
        tops, lefts = rng.integers(STORED_PX - PATCH_PX + 1, size=(2, count))
        chosen = rng.integers(len(self.noisy), size=count)
        turns, mirrored = rng.integers(4, size=count), rng.integers(2, size=count)
        pairs = []
        for stored in (self.noisy, self.targets):
            crops = [
                np.rot90(stored[i, y : y + PATCH_PX, x : x + PATCH_PX][:, :: 1 - 2 * mirror], turn)
                for i, y, x, turn, mirror in zip(chosen, tops, lefts, turns, mirrored, strict=True)
            ]
            pairs.append(torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float().div_(255))
        return pairs[0], pairs[1]


def main(words: list[str] | None = None) -> int:
    """Train until the time is over, and write the checkpoint."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.distill",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", help="the model to learn from")
    add("--noise", required=True, metavar="SPEC", help="noise to add, as of n2b-train")
    add("--clean", nargs="+", required=True, metavar="PATH", help="photographs; no test images")
    add("--out", type=Path, required=True, metavar="RUN", help="folder of the run")
    add("--minutes", type=float, default=45.0, help="default: %(default)g")
    add("--lr", type=float, default=1e-3, help="default: %(default)g")
    add("--batch", type=int, default=8, help="crops a step; default: %(default)d")
    add("--threads", type=int, default=1, help="default: %(default)d")
    arguments = parser.parse_args(words)
    torch.set_num_threads(arguments.threads)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _train(arguments)
    except N2BError as error:
        print(f"benchmarks.distill: {error}", file=sys.stderr)
        return error.exit_status


def _train(arguments: argparse.Namespace) -> int:
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    crops = read_crops(arguments.model, parse_noise(arguments.noise), arguments.clean, out)
    print(f"{len(crops.noisy)} crops of {STORED_PX}×{STORED_PX} px", flush=True)
    training = Distillation(arguments.minutes, arguments.lr, arguments.batch)
    training.restore(out)
    facts = {
        "method": "distillation",
        "of": arguments.model,
        "noise": arguments.noise,
        "batch": arguments.batch,
        "patch_px": PATCH_PX,
        "learning_rate": arguments.lr,
        "device": f"{platform.machine()} CPU, {arguments.threads} threads",
    }
    losses = []
    try:
        for loss in training.run(crops):
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


def read_crops(model: str, noise: Noise, photographs: list[str], folder: Path) -> Crops:
    """Add noise to crops of photographs and denoise them; kept in `folder`/crops.npz for the next start."""
    kept = folder / "crops.npz"
    if kept.is_file():
        with np.load(kept) as stored:
            return Crops(stored["noisy"], stored["targets"])
    noisy, targets = [], []
    with Denoiser(model, device="cpu", precision="fp32") as denoise:
        for number, path in enumerate(find_images(photographs)):
            rng = np.random.default_rng([0, number])
            pixels = to_rgb_uint8(read_image(path).pixels)
            height, width = pixels.shape[:2]
            for _ in range(_CROPS_PER_IMAGE if min(height, width) >= STORED_PX else 0):
                top, left = rng.integers(height - STORED_PX + 1), rng.integers(width - STORED_PX + 1)
                crop = pixels[top : top + STORED_PX, left : left + STORED_PX]
                noisy.append(noise(np.ascontiguousarray(crop), rng))
                targets.append(denoise(noisy[-1]))
    crops = Crops(np.stack(noisy), np.stack(targets))
    np.savez(kept, noisy=crops.noisy, targets=crops.targets)
    return crops


class Distillation:
    """A network in training; `step` and `elapsed_s` say how far it is."""

    def __init__(self, minutes: float, learning_rate: float, batch: int, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.step, self.elapsed_s = 0, 0.0
        self._minutes, self._learning_rate, self._batch, self._seed = minutes, learning_rate, batch, seed
        self.network: nn.Module = build_denoiser(ARCH)
        start = find_model(CAMERA_BUNDLED).onnx
        assert start is not None
        self.network.load_state_dict(unfolded_weights(read_weights(start), self.network))
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        learned = [weight for weight in self.network.parameters() if weight.requires_grad]
        self._adam = torch.optim.Adam(learned, learning_rate, betas=(0.9, 0.99), fused=True)

    def run(self, crops: Crops) -> Iterator[float]:
        """Train to the end of the time; yield the loss of each step."""
        before, started = self.elapsed_s, time.monotonic()
        while True:
            self.elapsed_s = before + time.monotonic() - started
            progress = self.elapsed_s / 60 / self._minutes
            if progress >= 1:
                return
            warmup = min(1.0, (self.step + 1) / _WARMUP_STEPS)
            rate = self._learning_rate * warmup * 0.5 * (1 + math.cos(math.pi * progress))
            self._adam.param_groups[0]["lr"] = rate
            noisy, target = crops.draw(self._batch, np.random.default_rng([self._seed, 3, self.step]))
            error = self.network(noisy.contiguous(memory_format=torch.channels_last)) - target
            loss = (error.square().mean(dim=(1, 2, 3)) + _EPSILON).sqrt().mean()
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


if __name__ == "__main__":
    sys.exit(main())
