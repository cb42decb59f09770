"""Encode images as JPEG, WebP and BMP by OpenCV, and add their metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..system.opencv import load_opencv, quiet
from .codecs import jpeg, webp
from .codecs.header import FormatError
from .codecs.metadata import JpegCoding

if TYPE_CHECKING:
    from .image import Image

_JPEG_QUALITY = 95  # of images that were not JPEG before
# pixels for one of chroma, across and down → OpenCV's constant: the factors of three components
_SAMPLINGS = {(1, 1): 0x111111, (2, 1): 0x211111, (1, 2): 0x121111, (2, 2): 0x221111, (4, 1): 0x411111}


def encode(
    name: str, image: Image, jpeg_quality: int | None, *, exif: bytes | None, icc_profile: bytes | None
) -> list[bytes | memoryview]:
    """Return the pieces of a JPEG, WebP or BMP file.

    Raises:
        FormatError: the format cannot hold the image or its metadata.
    """
    cv2 = load_opencv()
    pixels = np.ascontiguousarray(image.pixels)
    if image.alpha is not None:
        pixels = np.concatenate(
            [np.broadcast_to(pixels[:, :, ::-1], (*pixels.shape[:2], 3)), image.alpha[:, :, None]], axis=2
        )
    elif pixels.shape[2] == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    parameters = _jpeg_parameters(image.metadata.jpeg, jpeg_quality) if name == "JPEG" else []
    try:
        with quiet():
            is_done, encoded = cv2.imencode(f".{name.lower()}", pixels, parameters)
    except cv2.error as error:
        raise FormatError(f"cannot be encoded as {name}: {' '.join(str(error).split())}") from error
    if not is_done:
        raise FormatError(f"cannot be encoded as {name}; write .png")
    data = memoryview(encoded).cast("B")
    if name == "JPEG":
        return jpeg.embed(data, exif=exif, icc_profile=icc_profile, metadata=image.metadata)
    if name == "WebP":
        return webp.embed(
            data, image.pixels.shape[:2], has_alpha=image.alpha is not None,
            exif=exif, icc_profile=icc_profile, xmp=image.metadata.xmp,
        )  # fmt: skip
    return [data]


def _jpeg_parameters(before: JpegCoding | None, quality: int | None) -> list[int]:
    """Return OpenCV's parameters: quality and chroma sampling of the file before, as far as there was one."""
    cv2 = load_opencv()
    if before is None:
        return [cv2.IMWRITE_JPEG_QUALITY, quality or _JPEG_QUALITY]
    sampling = _SAMPLINGS.get(before.sampling, _SAMPLINGS[1, 1])
    return [cv2.IMWRITE_JPEG_QUALITY, quality or before.quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
