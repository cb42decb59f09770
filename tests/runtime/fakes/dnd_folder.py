"""A folder with the layout of the DND benchmark: HDF5, boxes behind references, images transposed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

SIZES = ((40, 60), (50, 45), (64, 64))  # (height, width) of the images
BOX_PX = 16
BOXES = 4


def top_left(image: int, box: int) -> tuple[int, int]:
    """Of a box, all counted from 0."""
    return 3 * box + image, 5 * box


def make_folder(
    folder: Path,
    sizes: Sequence[tuple[int, int]] = SIZES,
    corners: Sequence[Sequence[tuple[int, int]]] | None = None,
    box_px: int = BOX_PX,
) -> tuple[Path, list[np.ndarray]]:
    """Write it; the folder, and its images as float64 (H, W, 3).

    Args:
        folder: where.
        sizes: (height, width) of each image.
        corners: (top, left) of each box of each image, counted from 0; None: of BOXES boxes by `top_left`.
        box_px: side of the boxes.
    """
    import h5py

    (folder / "images_srgb").mkdir(parents=True)
    rng = np.random.default_rng(0)
    images = [rng.random((*size, 3)) for size in sizes]
    with h5py.File(folder / "info.mat", "w") as file:
        references = file.create_dataset("info/boundingboxes", (1, len(images)), h5py.ref_dtype)
        for index in range(len(images)):
            of_image = [top_left(index, box) for box in range(BOXES)] if corners is None else corners[index]
            first = np.array(of_image)
            boxes = np.concatenate([first + 1, first + box_px], axis=1)  # from 1, the last included
            stored = file.create_dataset(f"#refs#/{index}", data=boxes.T.astype(np.float64))
            references[0, index] = stored.ref
    for number, image in enumerate(images, start=1):
        with h5py.File(folder / "images_srgb" / f"{number:04d}.mat", "w") as file:
            file["InoisySRGB"] = image.T.astype(np.float32)
    return folder, images
