"""File formats: what stands around the compressed pixels, one module a format.

OpenCV decodes and encodes pixels, and knows nothing, or in its older versions little, of colour profiles,
EXIF blocks and orientation. These modules read and write those, within the bounds of the data given.
"""

from __future__ import annotations

from . import jpeg, png, tiff, webp
from .header import FormatError, Header

__all__ = ["FormatError", "Header", "read_header"]

_BMP_MAGIC = b"BM"


def read_header(data: memoryview) -> Header:
    """What a PNG, JPEG, TIFF, WebP or BMP file says of its picture, recognised by its first bytes.

    Args:
        data: the whole file, writable: tags of a TIFF file that OpenCV would act on are made neutral.

    Raises:
        FormatError: it is none of these, is cut short, or is of a kind that is not supported.
    """
    start = bytes(data[:12])
    if start.startswith(png.MAGIC):
        return png.read_header(data)
    if start.startswith(jpeg.MAGIC):
        return jpeg.read_header(data)
    if start.startswith(tiff.MAGICS):
        return tiff.read_header(data)
    if start.startswith(webp.MAGIC) and start.endswith(b"WEBP"):
        return webp.read_header(data)
    if start.startswith(_BMP_MAGIC):
        return Header("BMP")  # it carries nothing that is kept
    raise FormatError("is not a PNG, JPEG, TIFF, WebP or BMP image")
