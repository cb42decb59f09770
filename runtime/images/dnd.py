"""Read the Darmstadt Noise Dataset (DND): 50 photographs with real camera noise, 20 boxes in each.

Plötz and Roth, "Benchmarking Denoising Algorithms with Real Photographs", CVPR 2017. There is no public
ground truth: a server scores submissions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ImageError, UserError, shorten
from ..system.packages import require
from .image import reading
from .scale import check_range

_LARGEST = 1 << 16  # px, of an image


@dataclass(frozen=True, order=True)
class DndCrop:
    """A box of the benchmark.

    Attributes:
        image, box: numbers from 1, as in the names of the results (0001_01 to 0050_20).
        top, left, height, width: in px; 512×512 in the published benchmark.
    """

    image: int
    box: int
    top: int
    left: int
    height: int
    width: int


def list_crops(folder: str | Path) -> list[DndCrop]:
    """Return all boxes of the benchmark in order; the published one has 1,000.

    Args:
        folder: contains info.mat and images_srgb/.

    Raises:
        UserError: the folder does not contain the benchmark.
        MissingPackageError: h5py is not installed.
    """
    path = info_path(folder)
    h5py = require("h5py", extra="dnd")
    try:
        with h5py.File(path) as file:
            references = file["info/boundingboxes"][0]
            boxes = [_boxes(file[reference]) for reference in references]
    except Exception as error:  # damaged files raise many kinds of errors
        raise UserError(
            f"{folder} is not the DND benchmark: its info.mat {_reason(error)}; name the "
            "folder that contains info.mat and images_srgb"
        ) from error
    return [
        DndCrop(image, number, top - 1, left - 1, bottom - top + 1, right - left + 1)
        for image, of_image in enumerate(boxes, start=1)
        for number, (top, left, bottom, right) in enumerate(of_image, start=1)
    ]


def _boxes(stored: Any) -> list[list[int]]:
    """Return the boxes of an image, 20×4: first row, first column, last row, last column, counted from 1.

    Raises:
        ValueError: they are no boxes.
    """
    values = np.asarray(stored, np.float64).T
    if values.ndim != 2 or values.shape[1] != 4 or not (values == values.round()).all():
        raise ValueError("its boxes are not four whole numbers each")
    first, last = values[:, :2], values[:, 2:]
    if not ((first >= 1) & (first <= last) & (last <= _LARGEST)).all():
        raise ValueError("a box ends before it begins")
    return values.astype(int).tolist()


def split_crops(crops: Sequence[DndCrop], seed: int) -> tuple[list[DndCrop], list[DndCrop]]:
    """Split into two random halves, each in order: the first to train on, the second held out.

    As section 4.2 of Noise2Blur (Lin et al., arXiv 1912.01158) has it: 500 of 1,000 crops each.
    """
    order = np.random.default_rng(seed).permutation(len(crops))
    half = len(crops) // 2
    return sorted(crops[i] for i in order[:half]), sorted(crops[i] for i in order[half:])


def held_out_crops(folder: str | Path, seed: int) -> list[DndCrop]:
    """Return the half that a training with this seed does not see; errors as of `list_crops`."""
    return split_crops(list_crops(folder), seed)[1]


def read_crops(folder: str | Path, crops: Sequence[DndCrop]) -> Iterator[tuple[DndCrop, np.ndarray]]:
    """Read the noisy sRGB pixels of boxes, float32 (H, W, 3) in [0, 1], and no others.

    Raises:
        ImageError: an image is missing, damaged, smaller than its box, or not in [0, 1].
        MissingPackageError: h5py is not installed.
    """
    for crop, window, box in read_windows(folder, crops):
        yield crop, window[box]


def read_windows(
    folder: str | Path, crops: Sequence[DndCrop], *, halo_px: int = 0, multiple_px: int = 1
) -> Iterator[tuple[DndCrop, np.ndarray, tuple[slice, slice]]]:
    """Read boxes with the pixels around them.

    Args:
        folder: as of `list_crops`.
        crops: the boxes.
        halo_px: overlap, the width of the border that is read around a box, within the image.
        multiple_px: windows start at multiples of this in the image, and end there or at its border.

    Yields:
        A box, the noisy sRGB pixels of its window, float32 (H, W, 3) in [0, 1], and the box within them.

    Raises:
        ImageError, MissingPackageError: as of `read_crops`.
    """
    h5py = require("h5py", extra="dnd")
    for image, of_image in groupby(crops, key=lambda crop: crop.image):
        path = image_path(folder, image)
        if not path.exists():
            raise ImageError(f"{path} is missing")
        with reading(path), h5py.File(path) as file:
            stored = file["InoisySRGB"]  # channels, width, height
            for crop in of_image:
                rows = _around(crop.top, crop.height, stored.shape[2], halo_px, multiple_px)
                columns = _around(crop.left, crop.width, stored.shape[1], halo_px, multiple_px)
                pixels = np.ascontiguousarray(stored[:, columns, rows].T, np.float32)
                top, left = crop.top - rows.start, crop.left - columns.start
                box = slice(top, top + crop.height), slice(left, left + crop.width)
                if pixels[box].shape != (crop.height, crop.width, 3):
                    raise ImageError(
                        f"{path} does not contain the {crop.height}×{crop.width} px of its box {crop.box}"
                    )
                check_range(pixels)
                yield crop, pixels, box


def image_path(folder: str | Path, image: int) -> Path:
    """Return the path of an image, counted from 1."""
    return Path(folder) / "images_srgb" / f"{image:04d}.mat"


def info_path(folder: str | Path) -> Path:
    """Return the path of the list of boxes."""
    return Path(folder) / "info.mat"


def _around(start: int, length: int, whole: int, halo_px: int, multiple_px: int) -> slice:
    first = max(0, start - halo_px) // multiple_px * multiple_px
    last = -(-(start + length + halo_px) // multiple_px) * multiple_px
    return slice(first, min(last, whole))


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "is missing"
    return f"cannot be read ({shorten(error, 100) or type(error).__name__})"
