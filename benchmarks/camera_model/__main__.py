"""Train the bundled model `camera` on the noise of many cameras; interrupted, the same command goes on.

    python -m benchmarks.camera_model --data DATA --out RUN --minutes 60
    n2b-export RUN --dynamic

DATA holds polyu/, polyu_full/ and real/ with noisy images, clean/ and clean_more/ with photographs.
"""

from __future__ import annotations

import argparse
import platform
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from n2b.runtime.errors import N2BError
from n2b.runtime.images.image import read_image
from n2b.runtime.model_files import CAMERA_BUNDLED, bundled_models
from n2b.runtime.sources import find_images
from n2b.training.data.augment import with_variants
from n2b.training.data.image_pool import ImagePool

from benchmarks.edge_training import train_and_save

from .noises import NOISE_SETS, NoiseMixture, made_up_noise, noise_of_set
from .training import Crops, Settings, Training

PATCH_PX = 128
GAIN = (0.5, 2.0)
MADE_UP_SHARE = 0.2  # of the noise
CLEAN = ("clean", *(f"clean_more/{name}" for name in (
    "photostream", "photostream2", "wallpapers_os", "metadata_cams", "deepphoto", "vision_demo"
)))  # fmt: skip
HELD_OUT = "clean/debian"  # every other image, to see that clean images stay as they are


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.camera_model",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="DATA", help="the data folder")
    add("--out", type=Path, required=True, metavar="RUN", help="folder of the run")
    add("--minutes", type=float, default=60.0, help="default: %(default)g")
    add("--start", type=Path, metavar="FILE.onnx", help="model to start from; default: the bundled `camera`")
    add("--lr", type=float, default=2.5e-4, help="default: %(default)g")
    add("--batch", type=int, default=7, help="crops a step; default: %(default)d")
    add(
        "--kept", type=int, default=2, help="of them, crops on which nothing may change; default: %(default)d"
    )
    add("--threads", type=int, default=1, help="default: %(default)d")
    arguments = parser.parse_args(words)
    if not 0 < arguments.kept < arguments.batch:
        parser.error("--kept needs to be below --batch, and at least 1")
    torch.set_num_threads(arguments.threads)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _train(arguments)
    except N2BError as error:
        print(f"benchmarks.camera_model: {error}", file=sys.stderr)
        return error.exit_status


def _train(arguments: argparse.Namespace) -> int:
    out, data = arguments.out, arguments.data
    start = arguments.start or bundled_models()[CAMERA_BUNDLED]
    out.mkdir(parents=True, exist_ok=True)
    training = Training(Settings(start, arguments.minutes, arguments.lr, arguments.batch, arguments.kept))
    training.edge.restore(out)
    crops = read_crops(data, out)
    facts = _facts(arguments, crops)
    return train_and_save(training.edge, lambda: training.errors(crops), out, facts)


def read_crops(data: Path, out: Path) -> Crops:
    """Read all images and estimate the noise of each set; `out`/noise keeps the noise models."""
    models = [noise_of_set(one, data, out / "noise", PATCH_PX) for one in NOISE_SETS]
    shares = np.array([one.weight for one in NOISE_SETS])
    shares = [*(1 - MADE_UP_SHARE) * shares / shares.sum(), MADE_UP_SHARE]
    kept = (image for one in NOISE_SETS if one.is_kept for image in one.images(data, PATCH_PX))
    return Crops(
        clean=ImagePool(_clean_images(data), PATCH_PX, spill=out),
        noise=NoiseMixture([*models, made_up_noise(seed=0)], shares, PATCH_PX, GAIN),
        kept=ImagePool(kept, PATCH_PX, spill=out),
    )


def _clean_images(data: Path) -> Iterator[np.ndarray]:
    held_out = set(find_images([data / HELD_OUT])[1::2])
    for path in find_images([data / name for name in CLEAN]):
        pixels = read_image(path).pixels[..., :3] if path not in held_out else np.empty((0, 0, 3), np.uint8)
        if min(pixels.shape[:2]) >= PATCH_PX:
            rgb = pixels if pixels.shape[2] == 3 else pixels.repeat(3, axis=2)
            yield from with_variants(rgb, PATCH_PX)


def _facts(arguments: argparse.Namespace, crops: Crops) -> dict[str, Any]:
    """Return what ModelInfo keeps of the training."""
    return {
        "method": "n2b",
        "noise": "real",
        "noisy_sets": len(NOISE_SETS),
        "noisy_images_kept": len(crops.kept),
        "batch": arguments.batch,
        "patch_px": PATCH_PX,
        "learning_rate": arguments.lr,
        "device": f"{platform.machine()} CPU, {arguments.threads} threads",
    }


if __name__ == "__main__":
    sys.exit(main())
