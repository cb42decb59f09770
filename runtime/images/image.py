"""Read image files into arrays and write arrays to image files.

The dtype decides the depth, never the values: uint8 is 0..255, uint16 is 0..65535, float32 is [0, 1].
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ImageError
from ..system.files import atomic_path
from ..system.opencv import load_opencv, quiet
from . import exif, jpeg, png, tiff_writer, webp
from .convert import from_float, to_float
from .formats import FORMATS, Format, FormatError, Header, read_header

_logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = tuple(suffix for form in FORMATS for suffix in form.suffixes)

_DEPTHS = {"uint8": "8-bit", "uint16": "16-bit", "float32": "floating-point"}
_BAND_BYTES = 1 << 20  # converted at a time


@dataclass(frozen=True, eq=False)
class Image:
    """Pixels with their alpha and metadata.

    Attributes:
        pixels: (H, W, C), H and W ≥ 1, C = 1 (grey) or 3 (RGB), uint8, uint16 or float32 in [0, 1].
        alpha: (H, W), of the same dtype, the colours not multiplied by it; None when opaque.
        icc_profile: the colour profile's bytes.
        exif: an EXIF block (a TIFF structure) with orientation 1: the pixels are upright.

    Raises:
        ImageError: the arrays are not as described.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    icc_profile: bytes | None = None
    exif: bytes | None = None

    def __post_init__(self) -> None:
        shape, dtype = self.pixels.shape, self.pixels.dtype
        if len(shape) != 3 or shape[2] not in (1, 3) or 0 in shape:
            raise ImageError(
                f"an image has the shape (H, W, 1) or (H, W, 3), H and W at least 1, not {shape}"
            )
        if dtype not in map(np.dtype, _DEPTHS):
            raise ImageError(f"an image has the dtype uint8, uint16 or float32, not {dtype}")
        if self.alpha is not None and (self.alpha.shape, self.alpha.dtype) != (shape[:2], dtype):
            raise ImageError(
                f"alpha has the shape and dtype of the pixels, {shape[:2]} {dtype}, "
                f"not {self.alpha.shape} {self.alpha.dtype}"
            )

    def with_pixels(self, pixels: np.ndarray) -> Image:
        """Return the image with other pixels, (H, W, C); with alpha, of the same size and dtype."""
        return dataclasses.replace(self, pixels=pixels)


def read_image(path: str | Path) -> Image:
    """Read a PNG, JPEG, TIFF, WebP or BMP file, turned upright by its EXIF orientation.

    Palettes become RGB. Damaged metadata is left out, and of several pages or frames the first is read; both
    are logged as warnings. Decoding needs memory for the file and two copies of the pixels.

    Raises:
        ImageError: the file is missing, not an image, damaged or not supported.
    """
    data = _read_bytes(path)
    try:
        header = read_header(data.data)
        decoded = _decode(data, header)
    except FormatError as error:
        raise ImageError(f"{path} {error}") from error
    del data
    decoded = _turn_upright(decoded, _orientation(header))
    pixels, alpha = _to_rgb(decoded, header)
    block = None if header.exif is None else exif.make_upright(header.exif)
    image = Image(pixels, alpha, profile_for(pixels.shape[2], header.icc_profile), block)
    if header.icc_profile and not image.icc_profile:
        header.dropped.append("colour profile")
    for part in header.dropped:
        _logger.warning(f"{path}: its {part} is damaged or does not fit, and is left out")
    if header.has_more_images:
        _logger.warning(f"{path}: it contains several images; only the first is read")
    return image


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


def _decode(data: np.ndarray, header: Header) -> np.ndarray:
    """Return the pixels as OpenCV decodes them: (H, W) or (H, W, 3 or 4), BGR or BGRA."""
    cv2 = load_opencv()
    try:
        with quiet():
            pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        if "CV_IO_MAX_IMAGE" in str(error):
            raise FormatError(
                "is larger than OpenCV decodes (2^30 pixels, 2^20 a side, unless set otherwise); as TIFF, "
                "n2b-infer denoises it in strips; or cut it into parts, or set OPENCV_IO_MAX_IMAGE_PIXELS, "
                "OPENCV_IO_MAX_IMAGE_WIDTH and _HEIGHT"
            ) from error
        if error.code == cv2.Error.StsNoMem:
            raise FormatError("does not fit into memory; free some or cut the image into parts") from error
        pixels = None
    if pixels is None:
        raise FormatError(f"is damaged, or a kind of {header.format} that OpenCV cannot decode")
    if pixels.dtype.name not in _DEPTHS:
        raise FormatError(f"has {pixels.dtype} samples; convert it to 8 or 16 bit")
    return pixels


def _to_rgb(decoded: np.ndarray, header: Header) -> tuple[np.ndarray, np.ndarray | None]:
    """Return (H, W, C) RGB or grey and alpha (H, W) from decoded pixels, which may be overwritten."""
    cv2 = load_opencv()
    if header.is_inverted:
        np.subtract(white(decoded.dtype), decoded, out=decoded)
    if decoded.ndim == 2 or decoded.shape[2] == 1:
        return decoded.reshape(*decoded.shape[:2], 1), None
    if decoded.shape[2] == 3:
        for band in _bands(decoded):
            band[...] = cv2.cvtColor(band, cv2.COLOR_BGR2RGB)
        return decoded, None
    alpha = np.ascontiguousarray(decoded[:, :, 3])
    if header.is_grey_with_alpha:
        return np.ascontiguousarray(decoded[:, :, :1]), alpha
    pixels = cv2.cvtColor(decoded, cv2.COLOR_BGRA2RGB)
    if header.is_premultiplied:
        for colours, opacity in zip(_bands(pixels), _bands(alpha), strict=True):
            divide_by_alpha(colours, opacity)
    return pixels, alpha


def _bands(pixels: np.ndarray) -> Iterator[np.ndarray]:
    """Return views of some rows each, so that an operation on them needs little extra memory."""
    rows = max(1, _BAND_BYTES // pixels[0].nbytes)
    for top in range(0, len(pixels), rows):
        yield pixels[top : top + rows]


def divide_by_alpha(pixels: np.ndarray, alpha: np.ndarray) -> None:
    """Divide premultiplied colours (H, W, C) by alpha (H, W), in place; black where alpha is 0."""
    opacity = to_float(alpha)[:, :, None]
    visible = np.broadcast_to(opacity > 0, pixels.shape)
    straight = np.divide(to_float(pixels), opacity, out=np.zeros(pixels.shape, np.float32), where=visible)
    pixels[...] = from_float(straight, pixels.dtype)


def white(dtype: np.dtype) -> Any:
    """Return the value of white in pixels of this dtype."""
    return np.float32(1) if dtype == np.float32 else np.iinfo(dtype).max


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


def _turn_upright(decoded: np.ndarray, orientation: int) -> np.ndarray:
    """Turn and mirror pixels so that EXIF orientation 1..8 becomes 1."""
    cv2 = load_opencv()
    if orientation >= 5:
        decoded = cv2.transpose(decoded)
    around = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)  # the axis, as cv2.flip counts it
    return decoded if around is None else cv2.flip(decoded, around)


def profile_for(channels: int, icc_profile: bytes | None) -> bytes | None:
    """Return the colour profile if it is whole and for this number of channels, else None."""
    if icc_profile is None or len(icc_profile) < 128 or icc_profile[36:40] != b"acsp":
        return None
    return icc_profile if icc_profile[16:20] == (b"GRAY" if channels == 1 else b"RGB ") else None


def write_image(path: str | Path, image: Image, *, jpeg_quality: int = 95) -> None:
    """Write an image, whole or not at all, in the format of the suffix of `path`.

    JPEG, WebP and BMP need memory for a copy of the pixels; PNG and TIFF do not. TIFF stores grey with alpha
    as RGB with alpha, WebP all grey as RGB; WebP is lossless, except for colours where alpha is 0. BMP loses
    the EXIF block and the colour profile, which is logged as a warning.

    Args:
        path: ends in one of IMAGE_SUFFIXES, in either case.
        image: written with its EXIF block and colour profile.
        jpeg_quality: 1..100, for JPEG only.

    Raises:
        ImageError: the format is unknown or cannot hold this depth, transparency or size.
        UserError: the folder cannot be written, or the disk is full.
    """
    path = Path(path)
    form = _format_for(path, image)
    keeps_grey = form.holds_grey if image.alpha is None else form.holds_grey_with_alpha
    profile = profile_for(image.pixels.shape[2] if keeps_grey else 3, image.icc_profile)
    if image.icc_profile and not profile:
        _logger.warning(f"{path}: the colour profile does not fit these pixels, and is left out")
    if not form.holds_metadata and (profile or image.exif):
        _logger.warning(f"{path}: {form.name} holds no EXIF block and no colour profile; they are left out")
    try:
        metadata = {"exif": exif.make_upright(image.exif) if image.exif else None, "icc_profile": profile}
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            if form.name == "PNG":
                png.write(file, image.pixels, image.alpha, **metadata)
            elif form.name == "TIFF":
                tiff_writer.write(file, image.pixels, image.alpha, **metadata)
            else:
                for piece in _encode(form.name, image, jpeg_quality, metadata):
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
        obstacles.append(f"{_DEPTHS[image.pixels.dtype.name]} samples")
    if image.alpha is not None and not form.holds_alpha:
        obstacles.append("transparency")
    if max(image.pixels.shape[:2]) > form.largest_side_px:
        obstacles.append(f"more than {form.largest_side_px} px a side")
    return obstacles


def _encode(
    name: str, image: Image, jpeg_quality: int, metadata: dict[str, bytes | None]
) -> list[bytes | memoryview]:
    """Encode as JPEG, WebP or BMP; return the pieces of the file."""
    cv2 = load_opencv()
    pixels = np.ascontiguousarray(image.pixels)
    if image.alpha is not None:
        pixels = np.concatenate(
            [np.broadcast_to(pixels[:, :, ::-1], (*pixels.shape[:2], 3)), image.alpha[:, :, None]], axis=2
        )
    elif pixels.shape[2] == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    parameters = [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality] if name == "JPEG" else []
    try:
        with quiet():
            is_done, encoded = cv2.imencode(f".{name.lower()}", pixels, parameters)
    except cv2.error as error:
        raise FormatError(f"cannot be encoded as {name}: {' '.join(str(error).split())}") from error
    if not is_done:
        raise FormatError(f"cannot be encoded as {name}; write .png")
    data = memoryview(encoded).cast("B")
    if name == "JPEG":
        return jpeg.embed(data, **metadata)
    if name == "WebP":
        return webp.embed(data, image.pixels.shape[:2], has_alpha=image.alpha is not None, **metadata)
    return [data]
