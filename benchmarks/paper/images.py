"""Choose the training images, and the pairs of noisy and clean crops for all measurements."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from pathlib import Path

import numpy as np
from n2b.runtime.errors import UserError
from n2b.runtime.images.image import read_image
from n2b.runtime.sources import find_images
from n2b.training.noise import parse_noise

from .experiments import Condition, Trained
from .settings import Settings

_TEST_EVERY = 4  # of a camera's scenes: the rest is trained on
_NOISE_STREAM = 7  # of the seed: the test noise is that of no training run


@dataclass(frozen=True, eq=False)
class Pair:
    """A noisy crop and its clean counterpart, uint8 (H, W, 3)."""

    noisy: np.ndarray
    clean: np.ndarray


@dataclass(frozen=True)
class TrainingImages:
    """Files for a run of n2b-train; no file is in two of the lists."""

    noisy: tuple[Path, ...]  # clean photographs that noise is added to, or a camera's noisy ones
    clean: tuple[Path, ...]
    validation: tuple[Path, ...]  # empty for a camera's noise


@lru_cache
def training_images(condition: Condition, system: Trained, settings: Settings) -> TrainingImages:
    """The same files for every method, unless it is to have fewer noisy ones.

    Raises:
        UserError: there are too few images.
    """
    photographs = find_images(settings.data)
    needed = settings.noisy_images + settings.clean_images + 1
    if len(photographs) < needed:
        raise UserError(
            f"--data holds {len(photographs)} photographs, {needed} are needed; name more, or lower "
            "--noisy-images and --clean-images"
        )
    order = np.random.default_rng(settings.seed).permutation(len(photographs))
    shuffled = [photographs[index].resolve() for index in order]
    validation, noisy = shuffled[:1], shuffled[1 : 1 + settings.noisy_images]
    clean = shuffled[1 + settings.noisy_images : needed]
    if condition.camera:
        scenes = _scenes(condition.camera, settings)
        noisy = [path for index, (path, _) in enumerate(scenes) if index % _TEST_EVERY != _TEST_EVERY - 1]
        validation = []
    return TrainingImages(tuple(noisy[: system.noisy_images]), tuple(clean), tuple(validation))


def test_pairs(condition: Condition, settings: Settings) -> list[Pair]:
    """Crops from the middle of `settings.images` test photographs, spread evenly over the folder.

    Of a camera's images, whose noise is their own, crops lie spread over each test scene instead when
    there are more crops asked for than scenes.
    """
    if condition.camera:
        return _camera_pairs(condition.camera, settings)
    assert condition.noise is not None
    noise, photographs = parse_noise(condition.noise), find_images([settings.test])
    count = min(settings.images, len(photographs))
    pairs = []
    for index in range(count):
        photograph = _read(photographs[index * len(photographs) // count])
        (clean,) = spread_crops(photograph, 1, settings.crop_px)
        rng = np.random.default_rng([settings.seed, _NOISE_STREAM, index])
        pairs.append(Pair(noise(clean, rng), clean))
    return pairs


def _camera_pairs(camera: str, settings: Settings) -> list[Pair]:
    scenes = _scenes(camera, settings)[_TEST_EVERY - 1 :: _TEST_EVERY]
    each = ceil(settings.images / len(scenes))
    pairs = []
    for noisy, clean in scenes:
        crops = (spread_crops(_read(path), each, settings.crop_px) for path in (noisy, clean))
        pairs += [Pair(*crop) for crop in zip(*crops, strict=True)]
    return pairs[: settings.images]


def _scenes(camera: str, settings: Settings) -> list[tuple[Path, Path]]:
    """Noisy and clean file of every scene, by their names without suffix."""
    folder = next(folder for folder in settings.real if folder.name == camera)
    clean = {path.stem: path for path in find_images([folder / "clean"])}
    noisy = find_images([folder / "noisy"])
    if missing := [path.name for path in noisy if path.stem not in clean]:
        raise UserError(f"{folder / 'clean'} lacks {missing[0]}; every noisy image needs its clean one")
    if len(noisy) < _TEST_EVERY:
        raise UserError(f"{folder} holds {len(noisy)} scenes; at least {_TEST_EVERY} are needed")
    return [(path.resolve(), clean[path.stem].resolve()) for path in noisy]


def spread_crops(image: np.ndarray, count: int, crop_px: int) -> list[np.ndarray]:
    """Squares whose centres lie on a regular grid over the image; the whole image for a `crop_px` of 0."""
    if crop_px == 0:
        return [image]
    side = ceil(count**0.5)
    height, width = (min(extent, crop_px) for extent in image.shape[:2])
    crops = []
    for index in range(count):
        row, column = divmod(index, side)
        top = round((row + 0.5) / side * image.shape[0] - height / 2)
        left = round((column + 0.5) / side * image.shape[1] - width / 2)
        top = min(max(top, 0), image.shape[0] - height)
        left = min(max(left, 0), image.shape[1] - width)
        crops.append(image[top : top + height, left : left + width])
    return crops


def _read(path: Path) -> np.ndarray:
    pixels = read_image(path).pixels
    if pixels.dtype != np.uint8:
        raise UserError(f"{path} is not of 8 bits; the tables are of 8-bit images")
    return pixels if pixels.shape[2] == 3 else pixels.repeat(3, axis=2)
