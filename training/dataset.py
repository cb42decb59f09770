"""The three sets of a run: noisy images with their labels, clean photographs, validation photographs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..runtime.errors import UserError
from ..runtime.samples import sample_photographs
from ..runtime.sources import find_images
from .config import TrainConfig
from .data import ImagePool, add_noise, make_labels, read_photographs, split_in_halves
from .filters import parse_filter
from .noise import Noise, parse_noise


@dataclass(frozen=True)
class Dataset:
    """What a run trains on."""

    noisy: ImagePool  # crops of six channels: x, then its label y_b
    clean: ImagePool
    noise: Noise | None  # the synthetic noise, if it is synthetic
    validation: list[np.ndarray]  # clean photographs, uint8 (H, W, 3)


def load_dataset(config: TrainConfig, labels: Path) -> Dataset:
    """Read the images, add the synthetic noise, make or fetch the labels.

    Args:
        labels: folder that caches the labels.

    Raises:
        UserError: no images, or a noise or filter that does not exist.
    """
    noise = parse_noise(config.noise) if config.noise else None
    blur = parse_filter(config.filter)
    noisy = read_photographs(find_images(config.noisy), config.patch_px)
    clean, validation = _clean_photographs(config), _validation_photographs(config)
    if noise:
        if not clean:
            noisy, clean = split_in_halves(noisy, config.seed)
        noisy = add_noise(noisy, noise, config.seed)
    made = make_labels(noisy, blur, config.filter, labels)
    pairs = [np.concatenate([x, label], axis=2) for x, label in zip(noisy, made, strict=True)]
    return Dataset(
        noisy=ImagePool(pairs, config.patch_px),
        clean=ImagePool(clean, config.patch_px),
        noise=noise,
        validation=validation or clean,
    )


def _clean_photographs(config: TrainConfig) -> list[np.ndarray]:
    """Those named; with real noise and none named, the sample photographs; else none."""
    if config.clean:
        return read_photographs(find_images(config.clean), config.patch_px)
    if config.noise:
        return []
    samples = sample_photographs()
    if not samples:
        raise UserError("name clean photographs with --clean (any will do, of other scenes)")
    return read_photographs(samples, config.patch_px)


def _validation_photographs(config: TrainConfig) -> list[np.ndarray]:
    return read_photographs(find_images(config.validation), 1) if config.validation else []
