"""Small whole files of every image format that is read, of all codings that the readers tell apart."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import PIL.Image
import tifffile

SIZE = 22, 34  # px, high and wide

_EXIF = PIL.Image.Exif()
_EXIF[271] = "a camera"
_XMP = b"<x:xmpmeta/>"


def _pixels(dtype: str, channels: int = 3) -> np.ndarray:
    """Return a smooth image with some noise, so that no coding of it is trivial."""
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]] / max(SIZE)
    waves = np.stack([np.sin(5 * x + i) * np.cos(4 * y - i) for i in range(channels)], axis=2)
    noise = np.random.default_rng(channels).normal(0, 0.03, waves.shape)
    values = np.clip(0.5 + 0.4 * waves + noise, 0, 1)
    if dtype == "float32":
        return values.astype(np.float32)
    return np.rint(values * np.iinfo(dtype).max).astype(dtype)


def _save(pixels: np.ndarray, form: str, mode: str | None = None, **options: Any) -> bytes:
    image = PIL.Image.fromarray(pixels if pixels.shape[2] > 1 else pixels[:, :, 0])
    image = image.quantize(20) if mode == "P" else image
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def png() -> Iterator[bytes]:
    """Yield files of each colour type."""
    for channels in (1, 3, 4):
        yield _save(_pixels("uint8", channels), "PNG", exif=_EXIF, dpi=(300, 300))
    yield _save(_pixels("uint8"), "PNG", "P", transparency=bytes([9, 99, 199]))
    yield _save(_pixels("uint16", 1), "PNG")


def jpeg() -> Iterator[bytes]:
    """Yield sequential and progressive files, with and without restart markers."""
    codings: list[dict[str, Any]] = [{"progressive": True}, {"subsampling": 0}, {"restart_marker_blocks": 2}]
    for options in ({}, *codings):
        yield _save(_pixels("uint8"), "JPEG", quality=90, exif=_EXIF, xmp=_XMP, **options)
    yield _save(_pixels("uint8", 1), "JPEG", quality=90, dpi=(300, 300))


def webp() -> Iterator[bytes]:
    """Yield lossy and lossless files."""
    for channels in (3, 4):
        for is_lossless in (False, True):
            yield _save(_pixels("uint8", channels), "WEBP", lossless=is_lossless, exif=_EXIF, xmp=_XMP)


def bmp() -> Iterator[bytes]:
    """Yield files of 1 to 32 bits, with bit masks and run lengths."""
    yield _save(_pixels("uint8"), "BMP")
    yield _save(_pixels("uint8", 1), "BMP")
    yield _save(_pixels("uint8"), "BMP", "P")
    height, width = SIZE
    for bits, compression, masks in ((16, 3, (0xF800, 0x7E0, 0x1F)), (32, 3, (0xFF0000, 0xFF00, 0xFF)),
                                     (16, 0, ()), (32, 0, ())):  # fmt: skip
        words = np.random.default_rng(bits).integers(0, 1 << bits, SIZE, np.uint32)
        data = words.astype("<u2" if bits == 16 else "<u4").tobytes()
        header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(data), 0, 0, 0, 0)
        header += struct.pack(f"<{len(masks)}I", *masks)
        yield (
            struct.pack("<2sIHHI", b"BM", 14 + len(header) + len(data), 0, 0, 14 + len(header))
            + header
            + data
        )
    runs = b"".join(bytes([20, row, 14, 200 - row, 0, 0]) for row in range(height)) + b"\0\1"
    palette = bytes(range(256)) * 4
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(runs), 0, 0, 0, 0)
    yield struct.pack("<2sIHHI", b"BM", 0, 0, 0, 54 + 1024) + header + palette + runs


def _tiff(pixels: np.ndarray, *, bigtiff: bool, byteorder: Any = "<", **options: Any) -> bytes:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, bigtiff=bigtiff, byteorder=byteorder) as file:
        photometric = "rgb" if pixels.shape[2] > 1 else "minisblack"
        description = [(271, 2, 9, "a camera", True), (700, 1, len(_XMP), _XMP, True)]
        file.write(pixels if pixels.shape[2] > 1 else pixels[:, :, 0], photometric=photometric, metadata=None,
                   extratags=description, **options)  # fmt: skip
    return buffer.getvalue()


def tiff(dtype: str, *, bigtiff: bool = False) -> Iterator[bytes]:
    """Yield files of a dtype in strips and tiles, of every compression that OpenCV reads."""
    layouts = {"rowsperstrip": 5}, {"tile": (32, 32)}
    for number, compression in enumerate((None, "zlib", "lzw", "packbits")):
        for layout in layouts:
            byteorder = "<>"[number % 2]
            yield _tiff(
                _pixels(dtype), bigtiff=bigtiff, byteorder=byteorder, compression=compression, **layout
            )
    has_predictor = dtype != "float32"
    for compression in ("zlib", "lzw") if has_predictor else ():
        yield _tiff(
            _pixels(dtype, 1), bigtiff=bigtiff, compression=compression, predictor=True, rowsperstrip=8
        )
    yield _tiff(_pixels(dtype, 4), bigtiff=bigtiff, compression="zlib", extrasamples=["unassalpha"])
    if dtype == "uint8":
        yield _tiff(_pixels(dtype), bigtiff=bigtiff, compression="jpeg", rowsperstrip=8)
