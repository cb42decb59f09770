"""Load the dataset of a run: noisy images with their targets, clean and validation photographs."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from ...runtime.images.convert import middle_crop, to_grey_levels
from ...runtime.sources import find_images
from ..config import TrainConfig
from ..evaluation.validation import MAX_IMAGES
from ..labels.filters import parse_filter
from ..labels.label_noise import warn_of_noisy_labels
from ..labels.labels import make_labels
from ..noise import Noise, parse_noise
from ..noise_model import NoiseModel
from ..noise_model.structure import MAX_IMAGES as MAX_STRUCTURED
from ..noise_model.structure import NoiseStructure, find_structure
from ..spacing import evenly_spaced
from .augment import with_variants
from .camera_noise import model_noise
from .duplicates import NamedImage, Overlap
from .flat_noise import MAX_WINDOW_PX, FlatNoise, find_flat_noise
from .image_pool import ImagePool, memory_budget
from .sources import (
    clean_photographs,
    depth_of,
    noisy_sources,
    photographs,
    photographs_for_noise,
    read_images,
)

_logger = logging.getLogger(__name__)

MAX_SAMPLES = 8
SAMPLE_PX = 512
FEW_FLAT_AREAS = 50


@dataclass(frozen=True, eq=False)
class Sample:
    """The middle of a noisy image."""

    name: str  # of its file
    image: int  # its number in the pool
    pixels: np.ndarray  # uint8 or uint16 (H, W, 3), at most 512 px a side


@dataclass(frozen=True)
class Dataset:
    """The images that a run trains on."""

    noisy: ImagePool  # x, and in three more channels its target, if the method has one
    clean: ImagePool  # of the same depth
    clean_count: int  # clean photographs, their variants not counted
    noise: Noise | None  # None: a camera's own noise
    flat_noise: FlatNoise | None  # with config.flat_noise
    noise_model: NoiseModel | None  # with config.noise_model
    structure: NoiseStructure | None  # likewise; None too if it cannot be measured
    contents: dict[str, int | str]  # numbers and hash of the images, to know them again
    validation: list[np.ndarray]  # clean photographs, uint8 (H, W, 3); none if the noise is real
    noisy_samples: list[Sample]


def load_dataset(config: TrainConfig, run: Path, device: torch.device | str) -> Dataset:
    """Read the images, add the synthetic noise, make or fetch the labels.

    Every method takes the same noisy and clean images from the same options, so that methods compare.
    The target of x is its label y_b = blur(x) for "n2b" and "n2b-v", the original y for "supervised", a
    second noisy copy for "n2n"; "n2v" has none.

    Args:
        run: the run's folder; cameras are recorded in it, images that exceed the memory are kept in it in
            an unnamed file, and labels next to it.
        device: of the crops.

    Raises:
        UserError: there are no images, or the disk is full.
        DeviceError: a camera does not open, or stops.
        MissingPackageError: the filter or the DND benchmark needs a package.
    """
    device = torch.device(device)
    noise = parse_noise(config.noise) if config.noise else None
    if noise:
        noisy_files, clean_files = photographs_for_noise(config)
    else:
        noisy_files, clean_files = noisy_sources(config, run), clean_photographs(config)
    count = sum(source.count for source in noisy_files)
    overlap = Overlap(is_synthetic=noise is not None)
    # Synthetic noise is of 8 bits; a camera's images keep their levels.
    dtype = np.uint8 if noise else depth_of(noisy_files)
    names: list[str] = []
    photos = overlap.note_noisy(_note_names(read_images(noisy_files, config.patch_px, dtype), names))
    budget = memory_budget(device)
    with closing(_with_targets(config, noise, photos, run.parent / "labels", count)) as images:
        noisy = ImagePool(images, config.patch_px, device=device, spill=run, budget_bytes=budget)
    clean_photos = overlap.note_clean(read_images(clean_files, config.patch_px, dtype))
    clean_count = 0

    def clean_images() -> Iterator[np.ndarray]:
        nonlocal clean_count
        for _, pixels in clean_photos:
            clean_count += 1
            yield from with_variants(pixels, config.patch_px) if config.vary_clean else [pixels]

    clean = ImagePool(
        clean_images(),
        config.patch_px,
        device=device,
        spill=run,
        budget_bytes=budget - noisy.memory_bytes,
    )
    overlap.report()
    chosen = evenly_spaced(len(noisy), MAX_SAMPLES)
    middles = [middle_crop(noisy.image(index), SAMPLE_PX) for index in chosen]
    if config.has_labels:
        warn_of_noisy_labels(middles, config.filter)
    return Dataset(
        noisy=noisy,
        clean=clean,
        clean_count=clean_count,
        noise=noise,
        flat_noise=_flat_noise(config, noisy, device) if config.flat_noise else None,
        contents=overlap.contents,
        noise_model=model_noise(noisy, run, config.seed) if config.noise_model else None,
        structure=_structure(noisy) if config.noise_model else None,
        validation=_validation_photographs(config, clean) if noise else [],
        noisy_samples=[
            Sample(names[index], index, np.ascontiguousarray(middle[..., :3]))
            for index, middle in zip(chosen, middles, strict=True)
        ],
    )


def _note_names(images: Iterable[NamedImage], names: list[str]) -> Iterator[NamedImage]:
    for name, pixels in images:
        names.append(name)
        yield name, pixels


def _with_targets(
    config: TrainConfig, noise: Noise | None, images: Iterable[NamedImage], labels: Path, count: int
) -> Generator[np.ndarray, None, None]:
    """Yield noisy images, each followed by its target along the channels."""
    if config.has_labels:
        noisy = (_spoil(noise, y, config.seed, 1, index) for index, (_, y) in enumerate(images))
        blur = parse_filter(config.filter, config.domain)
        with closing(make_labels(noisy, blur, labels, count)) as pairs:
            for x, label in pairs:
                yield np.concatenate([x, label], axis=2)
        return
    for index, (_, y) in enumerate(images):
        x = _spoil(noise, y, config.seed, 1, index)
        if config.method == "supervised":
            yield np.concatenate([x, y], axis=2)
        elif config.method == "n2n":
            yield np.concatenate([x, _spoil(noise, y, config.seed, 4, index)], axis=2)
        else:
            yield x


def _flat_noise(config: TrainConfig, noisy: ImagePool, device: torch.device) -> FlatNoise:
    images = (noisy.image(index)[..., :3] for index in range(len(noisy)))
    if noisy.is_deep:
        images = map(to_grey_levels, images)
    size_px = min(config.patch_px, MAX_WINDOW_PX)
    one_source = config.noise is not None
    flat = find_flat_noise(images, size_px, seed=config.seed, one_source=one_source, device=device)
    if len(flat) < FEW_FLAT_AREAS:
        _logger.warning(
            f"only {len(flat)} flat areas of {size_px} px are in the noisy images; add images of a "
            "wall or of paper by the same camera, or take a smaller --patch"
        )
    return flat


def _structure(noisy: ImagePool) -> NoiseStructure | None:
    structure = find_structure(
        noisy.image(index)[..., :3] for index in evenly_spaced(len(noisy), MAX_STRUCTURED)
    )
    for line in structure.describe() if structure else []:
        _logger.warning(line)
    return structure


def _spoil(noise: Noise | None, image: np.ndarray, seed: int, copy: int, index: int) -> np.ndarray:
    """Return a noisy copy, deterministic by the seed; without noise the image unchanged."""
    return noise(image, np.random.default_rng([seed, copy, index])) if noise else image


def _validation_photographs(config: TrainConfig, clean: ImagePool) -> list[np.ndarray]:
    """Return the validation photographs, else the first of the clean ones."""
    if not config.validation:
        return [clean.image(index) for index in range(min(len(clean), MAX_IMAGES))]
    images = read_images(photographs(find_images(config.validation), white_level=config.white_level), 1)
    return [pixels for _, pixels in islice(images, MAX_IMAGES)]
