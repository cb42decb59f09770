"""Write what the DND benchmark's server takes: the denoised boxes, one a file and bundled by image.

As the benchmark's own scripts write them, for the sRGB track: `0001_01.mat` holds `Idenoised_crop`, and
`bundled/0001.mat`, of which fifty are uploaded, the cell array `Idenoised` of an image's boxes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from ..denoiser import Denoiser
from ..images.dnd import DndCrop, image_path, read_windows
from ..inference.executor import Progress
from ..system.files import atomic_path
from ..system.packages import require
from .result import ImageReport
from .stages import run_overlapped

EVALUATION_VERSION = "1.0"  # of the benchmark


@dataclass(frozen=True)
class DndImage:
    """An image of the benchmark that goes into a submission."""

    source: Path  # its file
    crops: tuple[DndCrop, ...]  # its boxes
    out: Path  # the submission's folder

    @property
    def crop_files(self) -> list[Path]:
        """Return one file for each box."""
        return [self.out / f"{crop.image:04d}_{crop.box:02d}.mat" for crop in self.crops]

    @property
    def bundle(self) -> Path:
        """Return the file of all boxes, to be uploaded."""
        return self.out / "bundled" / f"{self.crops[0].image:04d}.mat"


def list_images(folder: str | Path, crops: Sequence[DndCrop], out: Path) -> list[DndImage]:
    """Return the images that have these boxes."""
    return [
        DndImage(image_path(folder, image), tuple(of_image), out)
        for image, of_image in groupby(crops, key=lambda crop: crop.image)
    ]


def write_submission(
    images: Sequence[DndImage], denoiser: Denoiser, *, strength: float, on_progress: Progress
) -> Iterator[ImageReport]:
    """Denoise the boxes of images, and write them.

    Each box is read with the model's halo around it, from a multiple of the network's stride on: what is
    written is what the whole image's result has there, to rounding if the halo is at least the receptive
    radius, else as tiles are. All boxes with their halos are a quarter of the benchmark's pixels.

    Yields:
        One report an image, in order, whose size is that of its boxes under each other. An image that fails
        is reported, nothing is bundled of it, and the rest is done.

    Raises:
        MissingPackageError: h5py or scipy is not installed.
        EnvironmentFault: the machine failed; the images before are written.
    """
    _load_scipy_io()

    def read(image: DndImage) -> list[tuple[tuple[slice, slice], np.ndarray]]:
        halo_px, multiple_px = denoiser.halo_px, denoiser.info.size_multiple_px
        folder = image.source.parent.parent
        windows = read_windows(folder, image.crops, halo_px=halo_px, multiple_px=multiple_px)
        read = [(box, pixels) for _, pixels, box in windows]
        for _, pixels in read:
            denoiser.check(pixels)
        return read

    def infer(
        images: Iterator[tuple[Any, list[tuple[tuple[slice, slice], np.ndarray]]]],
    ) -> Iterator[tuple[Any, list[np.ndarray], dict[str, float]]]:
        for key, windows in images:
            stages_ms: dict[str, float] = {}
            clean = []
            for box, result, ms in denoiser.denoise_each(windows, strength):
                clean.append(result[box].clip(0, 1))
                stages_ms = {stage: stages_ms.get(stage, 0) + ms[stage] for stage in ms}
                on_progress(len(clean) / len(windows))
            yield key, clean, stages_ms

    for outcome in run_overlapped(images, read=read, infer=infer, write=_write):
        image = outcome.item
        if outcome.error is not None:
            yield ImageReport(str(image.source), error=outcome.error)
            continue
        height, width = sum(crop.height for crop in image.crops), max(crop.width for crop in image.crops)
        yield ImageReport(str(image.source), str(image.bundle), height, width, outcome.ms)


def _write(image: DndImage, clean: list[np.ndarray]) -> None:
    for path, pixels in zip(image.crop_files, clean, strict=True):
        _save(path, {"Idenoised_crop": pixels})
    cells = np.empty(len(clean), object)
    for number, pixels in enumerate(clean):  # at once, numpy would make an array of five dimensions of them
        cells[number] = pixels
    _save(image.bundle, {"Idenoised": cells, "israw": False, "eval_version": EVALUATION_VERSION})


def _save(path: Path, values: dict[str, Any]) -> None:
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        _load_scipy_io().savemat(file, values)


def _load_scipy_io() -> Any:
    return require("scipy.io", package="scipy", extra="dnd")
