"""Steps a second of n2b-train's loop and of a plain PyTorch loop of the same algorithm, side by side.

python -m benchmarks.training_speed [--batch 16] [--patch 128] [--arch unet] [--device auto] [--steps 8]

The plain loop is Algorithm 1 of Noise2Blur as one would first write it: a Dataset that crops, a DataLoader
with workers, float32, eager. Both train the same networks on the same images and take turns, so that whatever
else the machine does strikes both alike; the median counts. The last columns hold the arithmetic that the
algorithm asks for against the fastest matrix product of this device, measured in the same run.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from n2b.runtime.images.image import Image, write_image
from n2b.runtime.system.timing import time_interleaved
from n2b.training.batches import draw_batch
from n2b.training.config import TrainConfig
from n2b.training.data.dataset import load_dataset
from n2b.training.device import open_device, resolve_precision
from n2b.training.learner import Learner
from n2b.training.models.noise2blur import NENet, count_flops_per_pixel
from n2b.training.models.registry import build_denoiser
from n2b.training.objectives import build_objective
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

IMAGE_HW = (321, 481)  # as BSD's
IMAGES = 40
_MATRIX = {"cpu": 2048, "cuda": 8192, "mps": 4096}


def main() -> None:
    """Print one line a loop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--patch", type=int, default=128, metavar="PX")
    parser.add_argument("--arch", default="unet")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", help="of n2b-train's loop; the plain one has fp32")
    parser.add_argument("--compile", default="auto")
    parser.add_argument("--steps", type=int, default=8, help="steps a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2, help="of the plain loop's DataLoader")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _write_images(Path(folder) / "noisy", 0)
        _write_images(Path(folder) / "clean", IMAGES)
        config = TrainConfig(
            noisy=(f"{folder}/noisy",),
            clean=(f"{folder}/clean",),
            arch=arguments.arch,
            steps=1_000_000,
            batch=arguments.batch,
            patch_px=arguments.patch,
            device=arguments.device,
            precision=arguments.precision,
            compile=arguments.compile,
        )
        _compare(config, Path(folder) / "run", arguments.steps, arguments.rounds, arguments.workers)


def _compare(config: TrainConfig, run: Path, steps: int, rounds: int, workers: int) -> None:
    fabric = open_device(config)
    device, precision = fabric.device, resolve_precision(config.precision, fabric.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    batch = f"batch {config.batch} of {config.patch_px}×{config.patch_px} px"
    print(f"{config.arch}, {batch}; {name}, {torch.get_num_threads()} threads")
    dataset = load_dataset(config, run, device)
    learner = Learner(fabric, config)
    objective = build_objective(config, learner.networks)

    def ours() -> Iterator[None]:
        for step in range(10**9):
            batch = draw_batch(fabric, config, dataset, objective, step)
            learner.begin_step()
            learner.step(objective.losses(batch, is_initial=False), 1e-4)
            yield

    loops = [plain_loop(config, device, workers), ours()]
    seconds = time_interleaved([partial(_advance, loop, steps, device) for loop in loops], rounds)
    names = ["plain PyTorch, fp32", f"n2b-train, {precision}"]
    flops = flops_per_step(config)
    print(f"{'':22}{'steps/s':>9}{'ratio':>7}{'GFLOP/s':>10}{'of the ceiling':>16}")
    for name, taken, dtype in zip(names, seconds, (torch.float32, _DTYPES[precision]), strict=True):
        rate = steps / taken
        ceiling = matrix_product_flops(device, dtype)
        print(
            f"{name:22}{rate:9.2f}{seconds[0] / taken:7.2f}{rate * flops / 1e9:10.0f}"
            f"{rate * flops / ceiling:10.0%} of {ceiling / 1e9:.0f}"
        )


_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def _advance(loop: Iterator[None], steps: int, device: torch.device) -> None:
    for _ in range(steps):
        next(loop)
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class _Crops(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Random crops of noisy images, their labels, and clean images, as one first writes it."""

    def __init__(self, noisy: list[np.ndarray], labels: list[np.ndarray], clean: list[np.ndarray], px: int):
        self._noisy, self._labels, self._clean, self._px = noisy, labels, clean, px

    def __len__(self) -> int:
        return 10**6

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        rng = np.random.default_rng(index)
        one, other = rng.integers(len(self._noisy)), rng.integers(len(self._clean))
        y, x = self._corner(self._noisy[one], rng)
        v, u = self._corner(self._clean[other], rng)
        px = self._px
        crops = (
            self._noisy[one][y : y + px, x : x + px],
            self._labels[one][y : y + px, x : x + px],
            self._clean[other][v : v + px, u : u + px],
        )
        noisy, label, clean = (torch.from_numpy(c.copy()).permute(2, 0, 1).float() / 255 for c in crops)
        return noisy, label, clean

    def _corner(self, image: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
        return int(rng.integers(image.shape[0] - self._px + 1)), int(
            rng.integers(image.shape[1] - self._px + 1)
        )


def plain_loop(config: TrainConfig, device: torch.device, workers: int) -> Iterator[None]:
    """The convergence stage of Algorithm 1, float32 and eager; each `next` is a step."""
    images = [_image(seed) for seed in range(2 * IMAGES)]
    crops = _Crops(images[:IMAGES], images[:IMAGES], images[IMAGES:], config.patch_px)
    loader = DataLoader(crops, config.batch, num_workers=workers)
    denoiser, extractor = build_denoiser(config.arch).to(device), NENet().to(device)
    optimizers = [torch.optim.Adam(network.parameters(), 1e-4) for network in (denoiser, extractor)]
    for batch in loader:
        noisy, label, clean = (crop.to(device) for crop in batch)
        with torch.no_grad():
            residual = noisy - denoiser(noisy)
        noise = extractor(residual)
        n2b = F.l1_loss(noise, noisy - label)
        n2c = F.l1_loss(denoiser(clean + noise.detach()), clean)
        for optimizer in optimizers:
            optimizer.zero_grad()
        (n2b + n2c).backward()
        for optimizer in optimizers:
            optimizer.step()
        yield


def flops_per_step(config: TrainConfig) -> float:
    """Count the products of the convergence stage.

    DnNet forward, then forward and backward (twice the forward); NENet forward and backward.
    """
    denoiser, extractor = build_denoiser(config.arch), NENet()
    per_pixel = 4 * count_flops_per_pixel(denoiser) + 3 * count_flops_per_pixel(extractor)
    return per_pixel * config.batch * config.patch_px**2


def matrix_product_flops(device: torch.device, dtype: torch.dtype, rounds: int = 5) -> float:
    """The best rate of a square matrix product in FLOP/s: what no convolution will exceed by much."""
    size = _MATRIX[device.type]
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best = 0.0
    for _ in range(rounds):
        started = time.perf_counter()
        for _ in range(3):
            torch.mm(a, b)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = max(best, 3 * 2 * size**3 / (time.perf_counter() - started))
    return best


def _image(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*IMAGE_HW, 3), dtype=np.uint8)


def _write_images(folder: Path, first_seed: int) -> None:
    for seed in range(first_seed, first_seed + IMAGES):
        write_image(folder / f"{seed}.png", Image(_image(seed)))


if __name__ == "__main__":
    main()
