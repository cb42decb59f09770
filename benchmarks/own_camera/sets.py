"""The sets of real noisy images with references, the images of each to train on, and their scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from n2b.runtime.errors import UserError
from n2b.runtime.images.image import read_image
from n2b.runtime.images.metrics import psnr
from n2b.runtime.sources import find_images

ALL = "all"  # as a number of images

_MISMATCHED_DB = 12.0  # below, the reference shows another scene
_MOST_DB = 99.0  # in place of ∞


@dataclass(frozen=True)
class SetSpec:
    """A set of images by one camera or microscope.

    Attributes:
        name: a word, used in file names.
        folder: below the data folder; contains noisy/ and clean/, images of the same names.
        prefix: of the names of its images.
        half: settings are chosen on one half of the sets, and results reported on the other.
        is_fitted: gain and offset are fitted to the reference before PSNR, on the mean of the channels.
    """

    name: str
    folder: str
    prefix: str
    half: Literal["choose", "report"]
    is_fitted: bool = False


SETS = (
    SetSpec("Canon5D2", "polyu", "Canon5D2_", "choose"),
    SetSpec("NikonD800", "polyu", "NikonD800_", "choose"),
    SetSpec("full_bicyc", "polyu_full", "bicyc", "choose"),
    SetSpec("full_circu", "polyu_full", "circu", "choose"),
    SetSpec("renoir", "real/renoir", "", "choose"),
    SetSpec("w2s", "real/w2s_microscopy", "", "choose", is_fitted=True),
    SetSpec("Canon600D", "polyu", "Canon600D_", "report"),
    SetSpec("Canon80D", "polyu", "Canon80D_", "report"),
    SetSpec("Sony", "polyu", "Sony_", "report"),
    SetSpec("full_bag", "polyu_full", "bag", "report"),
    SetSpec("full_chair", "polyu_full", "chair", "report"),
    SetSpec("gigadb", "real/gigadb_microscopy", "", "report", is_fitted=True),
)


@dataclass(frozen=True)
class PairFiles:
    """Files of a noisy image and its reference."""

    name: str
    noisy: Path
    clean: Path


@dataclass(frozen=True, eq=False)
class Pair:
    """A noisy image and its reference, uint8 (H, W, 3); (H, W, 1) in a fitted set."""

    name: str
    noisy: np.ndarray
    clean: np.ndarray


@dataclass(frozen=True)
class RealSet:
    """The files of a set."""

    spec: SetSpec
    files: tuple[PairFiles, ...]

    def __len__(self) -> int:
        return len(self.files)

    def pairs(self) -> Iterator[Pair]:
        """Read the images one by one, except pairs whose reference shows another scene."""
        for files in self.files:
            pair = Pair(files.name, self.read(files.noisy), self.read(files.clean))
            if pair.noisy.shape != pair.clean.shape:
                raise UserError(f"{files.noisy} and {files.clean} differ in size")
            if self.spec.is_fitted or self.score(pair.noisy, pair.clean) >= _MISMATCHED_DB:
                yield pair

    def score(self, image: np.ndarray, reference: np.ndarray) -> float:
        """Return PSNR in dB, at most 99; in a fitted set after gain and offset by least squares."""
        if not self.spec.is_fitted:
            return min(psnr(image, reference), _MOST_DB)
        y = reference.mean(axis=2, dtype=np.float64)
        fitted = _fit(image.mean(axis=2, dtype=np.float64), y)
        return min(psnr(fitted, y, data_range=255), _MOST_DB)

    def read(self, path: Path) -> np.ndarray:
        pixels = read_image(path).pixels
        if pixels.dtype != np.uint8:
            raise UserError(f"{path} is not of 8 bits; the grid is of 8-bit images")
        if self.spec.is_fitted:
            mean = pixels.mean(axis=2, keepdims=True, dtype=np.float32)
            return np.rint(mean).astype(np.uint8)
        return pixels if pixels.shape[2] == 3 else pixels.repeat(3, axis=2)


@lru_cache
def load_set(data: Path, spec: SetSpec) -> RealSet:
    """Find the files of a set.

    Raises:
        UserError: the folder is missing, holds no image of the set, or a noisy image has no reference.
    """
    folder = data / spec.folder
    clean = {path.stem: path for path in find_images([folder / "clean"])}
    noisy = [path for path in find_images([folder / "noisy"]) if path.stem.startswith(spec.prefix)]
    if not noisy:
        raise UserError(f"{folder / 'noisy'} holds no image of {spec.name}")
    if missing := [path.name for path in noisy if path.stem not in clean]:
        raise UserError(f"{folder / 'clean'} lacks {missing[0]}; every noisy image needs its reference")
    files = [PairFiles(path.stem, path.resolve(), clean[path.stem].resolve()) for path in noisy]
    return RealSet(spec, tuple(files))


def training_images(real: RealSet, count: int, seed: int) -> tuple[PairFiles, ...]:
    """Choose the noisy images to train on, by seed; the fewer are among the more."""
    order = np.random.default_rng(seed).permutation(len(real))
    return tuple(real.files[index] for index in sorted(order[:count]))


def image_counts(asked: Sequence[str], available: int) -> list[int]:
    """Return the numbers of images to train on, each once: a number above all is all."""
    numbers = {available if number == ALL else min(int(number), available) for number in asked}
    return sorted(numbers)


def _fit(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return gain · x + offset, closest to y."""
    variance = x.var()
    gain = ((x - x.mean()) * (y - y.mean())).mean() / variance if variance else 0.0
    return gain * (x - x.mean()) + y.mean()
