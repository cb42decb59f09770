"""Read the noisy images that INT8 is calibrated on: those named, the run's own, or the samples."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...calibration.samples import TILE_PX, CalibrationImage
from ...runtime.errors import ImageError, UserError
from ...runtime.images.convert import to_rgb_uint8
from ...runtime.passwords import hide_passwords
from ...runtime.samples import sample_photographs
from ...training.config import CONFIG_NAME, TrainConfig, load_config
from ...training.data.sources import Source as ImageSource
from ...training.data.sources import log_hints, noisy_sources, photographs, photographs_for_noise
from ...training.noise import Noise, parse_noise
from ...training.run import absolute_inputs
from ..source import Source
from ..verify.test_images import at_least

_logger = logging.getLogger(__name__)

WEAK_NOISE = "gaussian:1-6"  # for a camera's model, if none of the camera's images are available
_DRAWS = 4  # of noise for each sample, since there are few
_SEED = 7


def calibration_images(
    source: Source, named: str | None, recordings: Path, *, white_level: float | None = None
) -> tuple[str, Iterator[CalibrationImage]]:
    """Return a description of the images, and an iterator that reads them one at a time.

    Args:
        source: the model; without named images, a run's model is calibrated on the run's images.
        named: a file, a folder, a glob, a video, camera:0 or dnd:FOLDER.
        white_level: of named images, as of `read_image`.

    Raises:
        UserError: there are no images; raised while reading if none can be read.
        DeviceError: a camera does not open, or stops.
    """
    if named is not None:
        config = TrainConfig(noisy=absolute_inputs([named]), steps=1, white_level=white_level)
        return hide_passwords(named, is_address=True), _read(noisy_sources(config, recordings), None)
    if (source.path.parent / CONFIG_NAME).is_file():
        try:
            return "the run's noisy images", _of_run(source.path.parent)
        except UserError as error:
            _logger.warning(f"the run's images are missing ({error}); calibrating on sample photographs")
    return _samples(str(source.info.trained.get("noise")))


def _of_run(run: Path) -> Iterator[CalibrationImage]:
    config = load_config(run)
    if config.noise is None:
        return _read(noisy_sources(config, run), None)
    return _read(photographs_for_noise(config)[0], parse_noise(config.noise))


def _samples(trained_on: str) -> tuple[str, Iterator[CalibrationImage]]:
    paths = sample_photographs()
    if not paths:
        raise UserError("there are no sample photographs to calibrate on; name noisy images with --calib")
    try:
        spec, noise = trained_on, parse_noise(trained_on)
    except UserError:  # noise of a camera
        spec, noise = WEAK_NOISE, parse_noise(WEAK_NOISE)
        _logger.warning("calibrating on sample photographs; name images of your camera with --calib")
    return f"sample photographs with noise {spec}", _read(photographs(paths) * _DRAWS, noise)


def _read(sources: list[ImageSource], noise: Noise | None) -> Iterator[CalibrationImage]:
    """Yield the images of all files, with noise added if given; skip unreadable ones."""
    count = unreadable = 0
    try:
        for source in sources:
            try:
                for name, read in source.read():
                    count += 1
                    pixels = at_least(to_rgb_uint8(read), TILE_PX, TILE_PX)
                    title = _without_folders(name)
                    if noise is None:
                        yield CalibrationImage(title, pixels)
                    else:
                        noisy = noise(pixels, np.random.default_rng([_SEED, count]))
                        yield CalibrationImage(title, noisy, pixels)
            except ImageError as error:
                _logger.warning(f"skipped: {error}")
                unreadable += 1
    finally:
        log_hints(sources)
    if not count:
        raise UserError(f"none of {unreadable} images to calibrate on can be read; name others with --calib")


def _without_folders(name: str) -> str:
    """Return an image's name without its folders, such as "frame 3 of video.mp4"."""
    part, of, path = name.rpartition(" of ") if name.startswith(("frame ", "crop ")) else ("", "", name)
    return f"{part}{of}{Path(path).name}"
