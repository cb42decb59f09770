"""Recognise image formats and read their headers, one module per format.

OpenCV decodes and encodes pixels, except that BMP is decoded here; before 5.0 it keeps EXIF blocks and colour
profiles of few formats or none, and JetPack has 4.8. These modules read and write them.
"""

from __future__ import annotations

from dataclasses import dataclass

from .codecs import bmp, jpeg, png, webp
from .codecs.header import FormatError, Header
from .tiff import reader as tiff

__all__ = ["FORMATS", "Format", "FormatError", "Header", "read_header"]


@dataclass(frozen=True)
class Format:
    """The capabilities of a file format."""

    name: str
    suffixes: tuple[str, ...]
    dtypes: tuple[str, ...]
    holds_alpha: bool = True
    holds_metadata: bool = True  # a colour profile and an EXIF block
    holds_grey: bool = True  # else grey is stored as RGB
    holds_grey_with_alpha: bool = True
    largest_side_px: int = (1 << 31) - 1


FORMATS = (
    Format("PNG", (".png",), ("uint8", "uint16")),
    Format("JPEG", (".jpg", ".jpeg"), ("uint8",), holds_alpha=False, largest_side_px=65500),  # libjpeg's
    Format("TIFF", (".tif", ".tiff"), ("uint8", "uint16", "float32"), holds_grey_with_alpha=False),
    Format(
        "WebP", (".webp",), ("uint8",), holds_grey=False, holds_grey_with_alpha=False, largest_side_px=16383
    ),
    Format("BMP", (".bmp",), ("uint8",), holds_alpha=False, holds_metadata=False),
)


def read_header(data: memoryview) -> Header:
    """Read the header of a PNG, JPEG, TIFF, WebP or BMP file, recognised by its first bytes.

    Args:
        data: the whole file, writable: TIFF tags that OpenCV would act on are neutralised.

    Raises:
        FormatError: it has another format, is cut short, or is not supported.
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
    if start.startswith(bmp.MAGIC):
        return bmp.read_header(data)
    raise FormatError("is not a PNG, JPEG, TIFF, WebP or BMP image")
