"""Decode pixels by OpenCV, heeding what it and its codecs complain of, and turn them into upright RGB."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..system.opencv import load_opencv, record_messages
from .codecs import bmp
from .codecs.header import FormatError, Header
from .convert import from_float, to_float

DEPTHS = {"uint8": "8-bit", "uint16": "16-bit", "float32": "floating-point"}
_BAND_BYTES = 1 << 20  # converted at a time

# OpenCV's log contains the messages of libtiff: before 4.11 errors and warnings look alike.
_LIBTIFF = re.compile(r"(?P<kind>TIFF_Error|TIFF_Warning|^OpenCV TIFF:) +(?P<text>.*)")
_OF_DECODERS = re.compile(r"\w*(Decode|Fax|JPEGLib)")
# Some are about tags that do not decide the pixels, or about JPEG data, which is lossy.
_ABOUT_TAGS = re.compile(
    r"_?TIFF(ReadDir|Fetch|V?SetField|AdvanceDir|CheckDir)|EstimateStrip|ChopUp|OJPEG"
    r"|[\w: ,]*Invalid (tile|strip) byte count"
)
_NOT_SUPPORTED = re.compile(r"not (configured|implemented)|compression method")
_LOSSY = re.compile(r"JPEGLib: .*Corrupt JPEG data")


def decode(data: np.ndarray, header: Header) -> np.ndarray:
    """Return the pixels as OpenCV decodes them: (H, W) or (H, W, 3 or 4), BGR or BGRA."""
    if header.format == "BMP":
        return bmp.decode(data.data)
    cv2 = load_opencv()
    messages: list[str] = []
    try:
        with record_messages() as messages:
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
    _heed(messages, header)
    if pixels is None:
        raise FormatError(f"is damaged, or a kind of {header.format} that OpenCV cannot decode")
    if pixels.dtype.name not in DEPTHS:
        raise FormatError(f"has {pixels.dtype} samples; convert it to 8 or 16 bit")
    return pixels


def _heed(messages: list[str], header: Header) -> None:
    """Note in the header what a decoder of lossy data complains of; raise FormatError for other damage."""
    if header.format == "JPEG":  # libjpeg prints bare lines, OpenCV its log
        header.damage += [line for line in messages if line and not line.startswith(("[", "OpenCV"))]
    for match in filter(None, map(_LIBTIFF.search, messages if header.format == "TIFF" else ())):
        text = match["text"].strip(". ")
        if match["kind"] == "TIFF_Warning" and not _OF_DECODERS.match(text):
            continue
        if _NOT_SUPPORTED.search(text):
            raise FormatError(
                f"is a TIFF file of a compression that OpenCV cannot decode ({text}); convert it to "
                "Deflate, LZW or none"
            )
        if _LOSSY.search(text):
            header.damage.append(text)
        elif not _ABOUT_TAGS.match(text):
            raise FormatError(f"is damaged: the decoder reports {text!r}")


def to_rgb(decoded: np.ndarray, header: Header) -> tuple[np.ndarray, np.ndarray | None]:
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


def turn_upright(decoded: np.ndarray, orientation: int) -> np.ndarray:
    """Turn and mirror pixels so that EXIF orientation 1..8 becomes 1."""
    cv2 = load_opencv()
    if orientation >= 5:
        decoded = cv2.transpose(decoded)
    around = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)  # the axis, as cv2.flip counts it
    return decoded if around is None else cv2.flip(decoded, around)
