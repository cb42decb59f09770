"""Images in memory as uint8, and the random crops that a training step takes from them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ..runtime.artifact import atomic_path
from ..runtime.console import warn
from ..runtime.errors import ImageError, UserError
from ..runtime.image import from_float, read_image, to_float
from .noise import Noise


class ImagePool:
    """Images of any size, and random crops of them.

    Args:
        images: uint8 arrays (H, W, C), all of one C; H, W ≥ the patch.

    Crops are drawn evenly over all positions in all images, then flipped and turned by quarters.
    """

    def __init__(self, images: Sequence[np.ndarray], patch_px: int) -> None:
        self.images = images
        self.patch_px = patch_px
        positions = [(i.shape[0] - patch_px + 1) * (i.shape[1] - patch_px + 1) for i in images]
        self._probability = np.array(positions) / sum(positions)

    def crops(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """`count` crops as uint8 (count, patch, patch, C); the same `rng` state gives the same crops."""
        size = self.patch_px
        chosen = rng.choice(len(self.images), size=count, p=self._probability)
        batch = np.empty((count, size, size, self.images[0].shape[2]), np.uint8)
        for slot, index in enumerate(chosen):
            image = self.images[index]
            top = rng.integers(image.shape[0] - size + 1)
            left = rng.integers(image.shape[1] - size + 1)
            batch[slot] = _turn(image[top : top + size, left : left + size], int(rng.integers(8)))
        return batch


def _turn(crop: np.ndarray, symmetry: int) -> np.ndarray:
    """One of the eight symmetries of the square, as a view."""
    mirrored = crop[:, ::-1] if symmetry >= 4 else crop
    return np.rot90(mirrored, symmetry % 4)


def read_photographs(paths: Sequence[Path], patch_px: int) -> list[np.ndarray]:
    """Read images as uint8 (H, W, 3) RGB; what cannot serve is named, skipped and counted.

    Grey images become three equal channels, 16 bit is reduced to 8, alpha is dropped.

    Raises:
        UserError: not one image can be used.
    """
    images: list[np.ndarray] = []
    unreadable = small = 0
    for path in paths:
        try:
            pixels = _to_rgb8(read_image(path).pixels)
        except ImageError as error:
            warn(f"skipped: {error}")
            unreadable += 1
            continue
        if min(pixels.shape[:2]) < patch_px:
            small += 1
            continue
        images.append(pixels)
    if not images:
        raise UserError(
            f"none of {len(paths)} images can be used ({unreadable} unreadable, {small} smaller than the "
            f"patch of {patch_px} px); give larger images or a smaller --patch"
        )
    if small:
        warn(f"skipped {small} of {len(paths)} images that are smaller than the patch of {patch_px} px")
    return images


def _to_rgb8(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype != np.uint8:
        pixels = from_float(to_float(pixels), np.uint8)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def split_in_halves(images: Sequence[np.ndarray], seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Two random halves without overlap: the first to take noise, the second to serve as clean."""
    if len(images) < 2:
        raise UserError("one image cannot be both the noisy and the clean set; name others with --clean")
    order = np.random.default_rng([seed, 0]).permutation(len(images))
    half = len(images) // 2
    return [images[i] for i in order[:half]], [images[i] for i in order[half:]]


def add_noise(images: Iterable[np.ndarray], noise: Noise, seed: int) -> list[np.ndarray]:
    """One noisy copy of each image, the same whenever the seed is the same."""
    return [noise(image, np.random.default_rng([seed, 1, index])) for index, image in enumerate(images)]


def make_labels(
    images: Sequence[np.ndarray],
    blur: Callable[[np.ndarray], np.ndarray],
    spec: str,
    cache: Path,
) -> list[np.ndarray]:
    """Blurred copies y_b = blur(x) of whole images, made once and kept in `cache`.

    Args:
        images: noisy images x, uint8 (H, W, 3).
        spec: the filter's text; with the pixels it names the cached file.
        cache: folder of .npy files; safe to delete.
    """

    def make(image: np.ndarray) -> np.ndarray:
        key = hashlib.sha256(f"{spec} {image.shape}".encode() + image.tobytes()).hexdigest()[:32]
        path = cache / f"{key}.npy"
        if path.is_file():
            return np.load(path, allow_pickle=False)
        label = blur(image)
        with atomic_path(path) as temporary:
            np.save(temporary, label, allow_pickle=False)
        return label

    with ThreadPoolExecutor() as workers:  # OpenCV releases the interpreter while it filters
        return list(workers.map(make, images))
