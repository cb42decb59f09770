"""The images that a run names, read one at a time: files, videos, cameras, the DND benchmark."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np

from ...runtime.errors import ImageError, UserError
from ...runtime.images.dnd import DndCrop, list_crops, read_crops, split_crops
from ...runtime.images.image import from_float, read_image, to_float
from ...runtime.samples import sample_photographs
from ...runtime.sources import Input, find_images, find_input
from ..config import TrainConfig
from .video import MOST_VIDEO_FRAMES, record_cameras, video_frames

_logger = logging.getLogger(__name__)

FRAMES = "frames"  # folder in the run for what cameras gave

Picture = tuple[str, np.ndarray]  # what it is called, and its pixels, uint8 (H, W, 3)


@dataclass(frozen=True)
class Source:
    """One or several pictures out of one file.

    Attributes:
        count: how many there are, at most.
        read: gives them one at a time, or raises ImageError.
    """

    count: int
    read: Callable[[], Iterator[Picture]]


def noisy_sources(config: TrainConfig, run: Path) -> list[Source]:
    """Images with a camera's own noise, as `config.noisy` names them; a camera is recorded here.

    Raises:
        UserError: an input is not there.
        DeviceError: a camera does not open, or stops.
    """
    inputs = [find_input(name) for name in config.noisy]
    files = [one.name for one in inputs if not _has_noise_of_its_own(one)]
    sources = photographs(find_images(files)) if files else []
    for one in inputs:
        if one.kind == "dnd" and one.path is not None:
            sources += _dnd(one.path, config.seed)
        elif one.kind == "video":
            sources.append(Source(MOST_VIDEO_FRAMES, partial(_video, one.name)))
    if cameras := [one for one in inputs if one.is_camera]:
        sources += photographs(record_cameras(cameras, run / FRAMES, config.record_s))
    return sources


def photographs_to_spoil(config: TrainConfig) -> tuple[list[Source], list[Source]]:
    """Photographs that synthetic noise is added to, and the clean ones: `config.clean`, else half of them.

    Raises:
        UserError: an input is not there or brings noise of its own, or there is one image only.
    """
    if others := [name for name in config.noisy if _has_noise_of_its_own(find_input(name))]:
        raise UserError(f"{others[0]} has noise of its own; leave out --noise, or name photographs")
    noisy = find_images(config.noisy)
    if config.clean:
        return photographs(noisy), photographs(find_images(config.clean))
    first, second = split_in_halves(noisy, config.seed)
    return photographs(first), photographs(second)


def clean_photographs(config: TrainConfig) -> list[Source]:
    """For real noise: those that `config.clean` names, else the sample photographs.

    Raises:
        UserError: an input is not there, or none is named and there are no samples.
    """
    if config.clean:
        return photographs(find_images(config.clean))
    samples = sample_photographs()
    if not samples:
        raise UserError("name clean photographs with --clean (any will do, of other scenes)")
    return photographs(samples)


def split_in_halves(paths: Sequence[Path], seed: int) -> tuple[list[Path], list[Path]]:
    """Two random halves without overlap: the first to take noise, the second to serve as clean."""
    if len(paths) < 2:
        raise UserError("one image cannot be both the noisy and the clean set; name others with --clean")
    order = np.random.default_rng([seed, 0]).permutation(len(paths))
    half = len(paths) // 2
    return [paths[i] for i in order[:half]], [paths[i] for i in order[half:]]


def photographs(paths: Iterable[Path]) -> list[Source]:
    """Image files, each a source of one picture."""
    return [Source(1, partial(_photograph, path)) for path in paths]


def read_pictures(sources: Sequence[Source], patch_px: int) -> Iterator[Picture]:
    """All pictures, one at a time; what cannot serve is named, skipped and counted.

    Grey images become three equal channels, 16 bit is reduced to 8, alpha is dropped.

    Raises:
        UserError: not one picture can be used; comes at the end.
    """
    used = unreadable = small = 0
    for source in sources:
        try:
            for name, pixels in source.read():
                if min(pixels.shape[:2]) < patch_px:
                    small += 1
                    continue
                used += 1
                yield name, pixels
        except ImageError as error:
            _logger.warning(f"skipped: {error}")
            unreadable += 1
    if not used:
        raise UserError(
            f"none of {unreadable + small} images can be used ({unreadable} unreadable, {small} smaller than "
            f"the patch of {patch_px} px); give larger images or a smaller --patch"
        )
    if small:
        _logger.warning(
            f"skipped {small} of {used + small + unreadable} images that are smaller than the patch of "
            f"{patch_px} px"
        )


def _has_noise_of_its_own(one: Input) -> bool:
    return one.kind == "dnd" or one.is_moving


def _photograph(path: Path) -> Iterator[Picture]:
    yield str(path), _to_rgb8(read_image(path).pixels)


def _video(path: str) -> Iterator[Picture]:
    for number, pixels in video_frames(path):
        yield f"frame {number} of {path}", _to_rgb8(pixels)


def _dnd(folder: Path, seed: int) -> list[Source]:
    """The half of the benchmark's crops that is trained on, a source for each of its images."""
    crops, _ = split_crops(list_crops(folder), seed)
    of_images = [list(of_image) for _, of_image in groupby(crops, key=lambda crop: crop.image)]
    return [Source(len(of_image), partial(_dnd_crops, folder, of_image)) for of_image in of_images]


def _dnd_crops(folder: Path, crops: list[DndCrop]) -> Iterator[Picture]:
    for crop, pixels in read_crops(folder, crops):
        yield f"crop {crop.image:04d}_{crop.box:02d} of {folder}", _to_rgb8(pixels)


def _to_rgb8(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype != np.uint8:
        pixels = from_float(to_float(pixels), np.uint8)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
