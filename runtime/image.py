"""Images in and out: the one place where files become arrays, and arrays files.

The dtype decides the depth, never the values: uint8 is 0..255, uint16 is 0..65535, float32 is [0, 1].
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import ImageError
from .opencv import load_opencv

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp")


@dataclass(frozen=True, eq=False)
class Image:
    """Pixels and what has to travel with them.

    Attributes:
        pixels: (H, W, C), C = 1 (grey) or 3 (RGB), uint8, uint16 or float32 in [0, 1].
        alpha: (H, W), of the same dtype, not premultiplied; None when opaque.
        icc_profile: the colour profile's bytes.
        exif: an EXIF block (a TIFF structure); its orientation is 1, for the pixels are upright.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    icc_profile: bytes | None = None
    exif: bytes | None = None

    def with_pixels(self, pixels: np.ndarray) -> Image:
        """The same image with other pixels, (H, W, C) of the same size and dtype."""
        return dataclasses.replace(self, pixels=pixels)


def read_image(path: str | Path) -> Image:
    """Read a PNG, JPEG, TIFF, WebP or BMP file, turned upright as its EXIF orientation says.

    Raises:
        ImageError: the file is missing, no image, damaged, or of a kind that is not supported.
    """
    cv2 = load_opencv()
    try:
        data = np.fromfile(path, np.uint8)
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    except (OSError, cv2.error) as error:
        raise ImageError(f"{path} cannot be read: {error}") from error
    if pixels is None:
        raise ImageError(f"{path} is not an image that can be read")
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    alpha = np.ascontiguousarray(pixels[:, :, 3]) if pixels.shape[2] == 4 else None
    if pixels.shape[2] > 1:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if alpha is None else cv2.COLOR_BGRA2RGB)
    return Image(pixels, alpha)


def write_image(path: str | Path, image: Image, *, jpeg_quality: int = 95) -> None:
    """Write an image, whole or not at all, in the format that the suffix of `path` names.

    Args:
        path: ends in one of IMAGE_SUFFIXES.
        image: what to write; its EXIF block and colour profile go with it.
        jpeg_quality: 1..100, for JPEG alone; every other format is written without loss.

    Raises:
        ImageError: the format cannot hold this depth, transparency or size, or has no writer here.
        UserError: the folder cannot be written, or the disk is full.
    """
    from .artifact import write_atomically

    cv2 = load_opencv()
    pixels = image.pixels
    if pixels.shape[2] == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    if image.alpha is not None:
        pixels = np.dstack([pixels, image.alpha])
    ok, data = cv2.imencode(Path(path).suffix, pixels, [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])
    if not ok:
        raise ImageError(f"{path} cannot be written")
    write_atomically(path, data.tobytes())


def to_float(pixels: np.ndarray) -> np.ndarray:
    """uint8, uint16 or float32 pixels as float32 in [0, 1]."""
    if pixels.dtype == np.float32:
        return pixels
    return np.multiply(pixels, 1.0 / np.iinfo(pixels.dtype).max, dtype=np.float32)


def from_float(pixels: np.ndarray, dtype: np.typing.DTypeLike) -> np.ndarray:
    """float32 pixels in [0, 1] as uint8, uint16 or float32; clipped and rounded to the nearest level."""
    if np.dtype(dtype) == np.float32:
        return pixels
    largest = np.iinfo(np.dtype(dtype)).max
    return np.rint(np.clip(pixels, 0, 1) * largest).astype(dtype)
