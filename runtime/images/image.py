"""Read image files into arrays and write arrays to image files.

The dtype decides the depth, never the values: uint8 is 0..255, uint16 is 0..65535, float32 is [0, 1].
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ImageError, N2BError, shorten
from ..system.files import atomic_path
from .codecs import exif, png
from .codecs.metadata import Metadata
from .decode import DEPTHS, decode, to_rgb, turn_upright
from .encode import encode
from .formats import FORMATS, Format, FormatError, Header, read_header
from .raw import develop, is_raw
from .scale import ScaleHints, from_full_scale, scale_hint, to_full_scale
from .tiff import writer as tiff_writer

_logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = tuple(suffix for form in FORMATS for suffix in form.suffixes)


@dataclass(frozen=True, eq=False)
class Image:
    """Pixels with their alpha and metadata.

    Attributes:
        pixels: (H, W, C), H and W ≥ 1, C = 1 (grey) or 3 (RGB), uint8, uint16 or float32 in [0, 1].
        alpha: (H, W), of the same dtype, the colours not multiplied by it; None when opaque.
        icc_profile: the colour profile's bytes.
        exif: an EXIF block (a TIFF structure) with orientation 1: the pixels are upright.
        metadata: everything else that a file of it keeps.
        warnings: what was wrong with the file, a clause each.
        white_level: the value of white in the file, which a file of it gets again; None: of its dtype.

    Raises:
        ImageError: the arrays are not as described.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    icc_profile: bytes | None = None
    exif: bytes | None = None
    metadata: Metadata = field(default_factory=Metadata)
    warnings: tuple[str, ...] = ()
    white_level: float | None = None

    def __post_init__(self) -> None:
        shape, dtype = self.pixels.shape, self.pixels.dtype
        if len(shape) != 3 or shape[2] not in (1, 3) or 0 in shape:
            raise ImageError(
                f"an image has the shape (H, W, 1) or (H, W, 3), H and W at least 1, not {shape}"
            )
        if dtype not in map(np.dtype, DEPTHS):
            raise ImageError(f"an image has the dtype uint8, uint16 or float32, not {dtype}")
        if self.alpha is not None and (self.alpha.shape, self.alpha.dtype) != (shape[:2], dtype):
            raise ImageError(
                f"alpha has the shape and dtype of the pixels, {shape[:2]} {dtype}, "
                f"not {self.alpha.shape} {self.alpha.dtype}"
            )

    def with_pixels(self, pixels: np.ndarray) -> Image:
        """Return the image with other pixels, (H, W, C); with alpha, of the same size and dtype."""
        return dataclasses.replace(self, pixels=pixels)


def read_image(
    path: str | Path, *, white_level: float | None = None, hints: ScaleHints | None = None
) -> Image:
    """Read a PNG, JPEG, TIFF, WebP or BMP file, turned upright by its EXIF orientation; develop a raw file.

    Palettes become RGB. Logged as warnings: damaged metadata, which is left out; further pages or frames, of
    which the first of full size is read; damage that the decoder reports of a lossy image, which is read all
    the same; and 16-bit samples that look like fewer bits. Decoding needs memory for the file and two copies
    of the pixels.

    Args:
        path: of the file.
        white_level: value of white in 16-bit and floating-point files, such as 4095; the pixels are scaled to
            the range of their dtype. 8-bit files are left alone, and raw files, which have their own.
        hints: collects what looks like another scale, in place of a warning for each image.

    Raises:
        ImageError: the file is missing, not an image, damaged, not supported, or brighter than `white_level`.
    """
    if is_raw(path):
        with reading(path):
            pixels, complaints = develop(path)
        for complaint in complaints:
            _logger.warning(f"{path}: {complaint}")
        return Image(pixels, warnings=tuple(complaints))
    data = _read_bytes(path)
    with reading(path):
        header = read_header(data.data)
        decoded = decode(data, header)
        del data
        orientation = _orientation(header)
        decoded = turn_upright(decoded, orientation)
        pixels, alpha = to_rgb(decoded, header)
        block = None if header.exif is None else exif.make_upright(header.exif)
        metadata = header.metadata if orientation == 1 else header.metadata.upright()
    profile = profile_for(pixels.shape[2], header.icc_profile)
    if header.icc_profile and not profile:
        header.dropped.append("colour profile")
    warnings = header.warnings()
    if white_level is not None:
        with reading(path):
            pixels = to_full_scale(pixels, white_level)
            alpha = None if alpha is None else to_full_scale(alpha, white_level)
    elif hint := scale_hint(pixels):
        if hints is None:
            warnings.append(hint)
        else:
            hints.add(path, hint)
    for warning in warnings:
        _logger.warning(f"{path}: {warning}")
    return Image(pixels, alpha, profile, block, metadata, tuple(warnings), white_level)


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Turn whatever is raised in reading a file into an ImageError that names it."""
    try:
        yield
    except ImageError as error:  # about the pixels
        raise error if str(path) in str(error) else ImageError(f"{path}: {error}") from error
    except N2BError:
        raise
    except FormatError as error:
        raise ImageError(f"{path} {error}") from error
    except MemoryError as error:
        raise ImageError(f"{path} does not fit into memory; free some or cut the image into parts") from error
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror or shorten(error)}") from error
    except Exception as error:  # damage in a place that no check knows
        raise ImageError(f"{path} is damaged: {shorten(error) or type(error).__name__}") from error


def _read_bytes(path: str | Path) -> np.ndarray:
    """Return the file as a writable array of uint8, without a second copy."""
    try:
        if Path(path).is_dir():
            raise ImageError(f"{path} is a folder, not an image")
        data = np.fromfile(path, np.uint8)
    except (OSError, ValueError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "it does not fit into memory"
        raise ImageError(f"{path} cannot be read: {reason}") from error
    if not data.size:
        raise ImageError(f"{path} is empty")
    return data


def _orientation(header: Header) -> int:
    """Return the EXIF orientation; a damaged block is dropped from the header."""
    if header.exif is None:
        return 1
    try:
        return exif.orientation(header.exif)
    except FormatError:
        header.dropped.append("EXIF block")
        header.exif = None
        return 1


def profile_for(channels: int, icc_profile: bytes | None) -> bytes | None:
    """Return the colour profile if it is whole and for this number of channels, else None."""
    if icc_profile is None or len(icc_profile) < 128 or icc_profile[36:40] != b"acsp":
        return None
    return icc_profile if icc_profile[16:20] == (b"GRAY" if channels == 1 else b"RGB ") else None


def write_image(path: str | Path, image: Image, *, jpeg_quality: int | None = None) -> None:
    """Write an image, whole or not at all, in the format of the suffix of `path`.

    JPEG, WebP and BMP need memory for a copy of the pixels; PNG and TIFF do not. TIFF stores grey with alpha
    as RGB with alpha, WebP all grey as RGB; WebP is lossless, except for colours where alpha is 0. BMP loses
    the EXIF block and the colour profile, which is logged as a warning.

    Args:
        path: ends in one of IMAGE_SUFFIXES, in either case.
        image: written with its EXIF block and colour profile.
        jpeg_quality: 1..100, for JPEG only; None: that of the JPEG file it was read from, else 95. Chroma is
            sampled as in that file.

    Raises:
        ImageError: the format is unknown or cannot hold this depth, transparency or size.
        UserError: the folder cannot be written, or the disk is full.
    """
    path = Path(path)
    if image.white_level is not None:
        level = image.white_level
        alpha = None if image.alpha is None else from_full_scale(image.alpha, level)
        image = dataclasses.replace(image, pixels=from_full_scale(image.pixels, level), alpha=alpha)
    form = _format_for(path, image)
    keeps_grey = form.holds_grey if image.alpha is None else form.holds_grey_with_alpha
    profile = profile_for(image.pixels.shape[2] if keeps_grey else 3, image.icc_profile)
    if image.icc_profile and not profile:
        _logger.warning(f"{path}: the colour profile does not fit these pixels, and is left out")
    if not form.holds_metadata and (profile or image.exif):
        _logger.warning(f"{path}: {form.name} holds no EXIF block and no colour profile; they are left out")
    if lost := image.metadata.not_in(form.name):
        _logger.warning(f"{path}: {form.name} cannot hold the {', '.join(lost)} of its input; left out")
    try:
        parts: dict[str, Any] = {
            "exif": exif.make_upright(image.exif) if image.exif else None,
            "icc_profile": profile,
        }
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            if form.name == "PNG":
                png.write(file, image.pixels, image.alpha, **parts, metadata=image.metadata)
            elif form.name == "TIFF":
                tiff_writer.write(file, image.pixels, image.alpha, **parts, metadata=image.metadata)
            else:
                for piece in encode(form.name, image, jpeg_quality, **parts):
                    file.write(piece)
    except FormatError as error:
        raise ImageError(f"{path} {error}") from error


def _format_for(path: Path, image: Image) -> Format:
    """Return the format of the suffix; raise ImageError if it cannot hold the image."""
    suffix = path.suffix.lower()
    form = next((form for form in FORMATS if suffix in form.suffixes), None)
    if form is None:
        raise ImageError(f"{path}: no image format has this suffix; use {', '.join(IMAGE_SUFFIXES)}")
    obstacles = _obstacles(form, image)
    if obstacles:
        fitting = [suffix for other in FORMATS for suffix in other.suffixes if not _obstacles(other, image)]
        raise ImageError(
            f"{path}: {form.name} cannot hold {' or '.join(obstacles)}; write {', '.join(fitting)}"
        )
    return form


def _obstacles(form: Format, image: Image) -> list[str]:
    """Return what the format cannot hold of the image."""
    obstacles = []
    if image.pixels.dtype.name not in form.dtypes:
        obstacles.append(f"{DEPTHS[image.pixels.dtype.name]} samples")
    if image.alpha is not None and not form.holds_alpha:
        obstacles.append("transparency")
    if max(image.pixels.shape[:2]) > form.largest_side_px:
        obstacles.append(f"more than {form.largest_side_px} px a side")
    return obstacles
