"""Distil a bundled model into the edge network; interrupted, the same command goes on.

    python -m benchmarks.distill gaussian --noise gaussian:0-50 --clean DATA/clean --out RUN --minutes 45
    n2b-export RUN --dynamic

The edge network learns to return what the model returns: photographs get noise, the model denoises them once,
and the network is trained on crops of both. No clean photograph is a target. The network starts from
the bundled `camera`, which is an edge network.
"""

from __future__ import annotations

import argparse
import platform
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from n2b.runtime import Denoiser, read_image
from n2b.runtime.errors import N2BError
from n2b.runtime.images.convert import to_rgb_uint8
from n2b.runtime.model_files import CAMERA_BUNDLED, find_model
from n2b.runtime.sources import find_images
from n2b.training.noise import Noise, parse_noise
from torch import Tensor

from benchmarks.edge_training import EdgeTraining, train_and_save

STORED_PX, PATCH_PX = 128, 64  # of the crops that the model denoises; of those that a step trains on
_CROPS_PER_IMAGE = 4
_SEED = 0


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
    start = find_model(CAMERA_BUNDLED).onnx
    assert start is not None
    training = EdgeTraining(start, arguments.minutes, arguments.lr)
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

    def errors() -> Tensor:
        noisy, target = crops.draw(arguments.batch, np.random.default_rng([_SEED, 3, training.step]))
        return training.network(noisy.contiguous(memory_format=torch.channels_last)) - target

    return train_and_save(training, errors, out, facts)


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


if __name__ == "__main__":
    sys.exit(main())
