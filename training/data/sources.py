"""The images that a run names, read one at a time: files, videos, cameras, the DND benchmark."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...runtime.errors import ImageError, UserError
from ...runtime.images.convert import to_rgb
from ...runtime.images.dark import DarkFrame, read_dark_frames
from ...runtime.images.depth import is_deep
from ...runtime.images.dnd import DndCrop, list_crops, read_crops, split_crops
from ...runtime.images.image import read_image, reading
from ...runtime.images.scale import ScaleHints, check_range
from ...runtime.samples import sample_photographs
from ...runtime.sources import Input, bits_per_channel, find_images, find_input
from ..config import TrainConfig
from .duplicates import NamedImage
from .video import MAX_VIDEO_FRAMES, record_cameras, video_frames

_logger = logging.getLogger(__name__)

FRAMES = "frames"  # folder in the run for recorded cameras


@dataclass(frozen=True)
class Source:
    """One or more images from one file."""

    count: int  # maximum number of images
    # yields name and pixels ((H, W, 1 | 3) of any depth) of one image at a time, or raises ImageError
    read: Callable[[], Iterator[NamedImage]]
    is_deep: Callable[[], bool] = lambda: False  # returns True if the images have more than 8 bits
    hints: ScaleHints = field(
        default_factory=ScaleHints
    )  # of what was read; to be logged after the last image


def noisy_sources(config: TrainConfig, run: Path) -> list[Source]:
    """Return the images with a camera's own noise that `config.noisy` names; record its cameras.

    Raises:
        UserError: an input does not exist.
        DeviceError: a camera does not open, or stops.
    """
    inputs = [find_input(name) for name in config.noisy]
    files = [one for one in inputs if not _has_noise_of_its_own(one)]
    dark = read_dark_frames(find_images(config.dark), config.white_level) if config.dark else None
    sources = photographs(find_images(files), dark, config.white_level) if files else []
    for one in inputs:
        if one.kind == "dnd" and dark is not None:
            raise UserError(f"{one.name} has no dark frames; leave out --dark")
        if one.kind == "dnd" and one.path is not None:
            sources += _dnd(one.path, config.seed)
        elif one.kind == "video":
            sources.append(
                Source(MAX_VIDEO_FRAMES, partial(_video, one.name, dark), partial(_is_deep_video, one.name))
            )
    if cameras := [one for one in inputs if one.is_camera]:
        sources += photographs(record_cameras(cameras, run / FRAMES, config.record_s), dark)
    return sources


def photographs_for_noise(config: TrainConfig) -> tuple[list[Source], list[Source]]:
    """Return the photographs to add synthetic noise to, and the clean ones: `config.clean`, else half.

    Raises:
        UserError: an input does not exist or has noise of its own, or there is only one image.
    """
    if others := [name for name in config.noisy if _has_noise_of_its_own(find_input(name))]:
        raise UserError(f"{others[0]} has noise of its own; leave out --noise, or name photographs")
    noisy = find_images(config.noisy)
    if config.clean:
        clean = photographs(find_images(config.clean), white_level=config.white_level)
        return photographs(noisy, white_level=config.white_level), clean
    first, second = split_in_halves(noisy, config.seed)
    return photographs(first, white_level=config.white_level), photographs(
        second, white_level=config.white_level
    )


def clean_photographs(config: TrainConfig) -> list[Source]:
    """Return the clean photographs for real noise: those of `config.clean`, else the samples.

    Raises:
        UserError: an input does not exist, or none is named and there are no samples.
    """
    if config.clean:
        return photographs(find_images(config.clean), white_level=config.white_level)
    if samples := sample_photographs():
        return photographs(samples)
    raise UserError("name clean photographs with --clean (any will do, of other scenes)")


def split_in_halves(paths: Sequence[Path], seed: int) -> tuple[list[Path], list[Path]]:
    """Return two random halves without overlap: the noisy and the clean set."""
    if len(paths) < 2:
        raise UserError("one image cannot be both the noisy and the clean set; name others with --clean")
    order = np.random.default_rng([seed, 0]).permutation(len(paths))
    half = len(paths) // 2
    return [paths[i] for i in order[:half]], [paths[i] for i in order[half:]]


def photographs(
    paths: Iterable[Path], dark: DarkFrame | None = None, white_level: float | None = None
) -> list[Source]:
    """Return image files as sources of one image each.

    Args:
        dark: a frame to subtract.
        white_level: as of `read_image`.
    """
    hints = ScaleHints()
    return [
        Source(1, partial(_photograph, path, dark, white_level, hints), partial(is_deep, path), hints)
        for path in paths
    ]


def depth_of(sources: Iterable[Source]) -> npt.DTypeLike:
    """Return the dtype that keeps all levels: uint16 if a source has more than 8 bits, else uint8."""
    return np.uint16 if any(source.is_deep() for source in sources) else np.uint8


def read_images(
    sources: Sequence[Source], patch_px: int, dtype: npt.DTypeLike = np.uint8
) -> Iterator[NamedImage]:
    """Yield name and pixels (H, W, 3) of all images in `dtype`; skip unusable ones with a warning.

    Grey images become three equal channels, alpha is dropped.

    Raises:
        UserError: no image is usable; raised at the end.
    """
    used = unreadable = small = 0
    try:
        for source in sources:
            try:
                for name, pixels in source.read():
                    if min(pixels.shape[:2]) < patch_px:
                        small += 1
                        continue
                    used += 1
                    yield name, to_rgb(pixels, dtype)
            except ImageError as error:
                _logger.warning(f"skipped: {error}")
                unreadable += 1
    finally:
        log_hints(sources)
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


def log_hints(sources: Iterable[Source]) -> None:
    """Log one warning for all images that seem to have another scale."""
    for hints in {source.hints for source in sources}:
        hints.log()


def _has_noise_of_its_own(one: Input) -> bool:
    return one.kind == "dnd" or one.is_moving


def _photograph(
    path: Path, dark: DarkFrame | None, white_level: float | None, hints: ScaleHints
) -> Iterator[NamedImage]:
    pixels = read_image(path, white_level=white_level, hints=hints).pixels
    with reading(path):
        check_range(pixels)
    yield _named(str(path), pixels, dark)


def _video(path: str, dark: DarkFrame | None) -> Iterator[NamedImage]:
    for number, pixels in video_frames(path):
        yield _named(f"frame {number} of {path}", pixels, dark)


def _is_deep_video(path: str) -> bool:
    """Return True if it has more than 8 bits; one that cannot be read is reported when its frames are."""
    try:
        return bits_per_channel(path) > 8
    except ImageError:
        return False


def _named(name: str, pixels: np.ndarray, dark: DarkFrame | None) -> NamedImage:
    return name, pixels if dark is None else dark.subtract(pixels, name)


def _dnd(folder: Path, seed: int) -> list[Source]:
    """Return the training half of the benchmark's crops, one source per image."""
    crops, _ = split_crops(list_crops(folder), seed)
    of_images = [list(of_image) for _, of_image in groupby(crops, key=lambda crop: crop.image)]
    return [
        Source(len(of_image), partial(_dnd_crops, folder, of_image), lambda: True) for of_image in of_images
    ]


def _dnd_crops(folder: Path, crops: list[DndCrop]) -> Iterator[NamedImage]:
    for crop, pixels in read_crops(folder, crops):
        yield f"crop {crop.image:04d}_{crop.box:02d} of {folder}", pixels
