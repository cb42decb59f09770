"""TIFF written (TIFF 6.0, BigTIFF beyond 4 GB): integers compressed without loss, floats as they are.

Why one of its own: it takes the picture in bands, so that it need not be in memory, marks the alpha as alpha,
and puts the colour profile and the EXIF directories into the same file at once.
"""

from __future__ import annotations

import struct
import sys
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from ..system.memory import usable_cores
from . import exif as tags
from . import tiff_tags as t
from .exif import LONG, LONG8, SHORT, UNDEFINED, Directory, Entry, Order

_STRIP_SIZE_BYTES = 1 << 20
_LARGEST_TIFF_BYTES = 4_200_000_000  # of pixels; more of them, with what else there is, take a BigTIFF file
_NATIVE: Order = "<" if sys.byteorder == "little" else ">"


@dataclass(frozen=True)
class Picture:
    """What is written beside the pixels.

    Attributes:
        shape: height, width and samples a pixel: 1 grey, 3 RGB, 4 RGB and alpha, the colours not multiplied.
        dtype: uint8, uint16 or float32.
        description: tags that say something of the picture, with EXIF's directories.
        order: the byte order of their values, and of the file.
        icc_profile: the colour profile.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype
    description: Directory = field(default_factory=dict)
    order: Order = _NATIVE
    icc_profile: bytes | None = None

    @property
    def nbytes(self) -> int:
        """Of all pixels, uncompressed."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    @property
    def is_big(self) -> bool:
        """Whether it takes a BigTIFF file."""
        return self.nbytes > _LARGEST_TIFF_BYTES

    @property
    def rows_per_strip(self) -> int:
        """As many as make about a megabyte."""
        height, width, samples = self.shape
        return max(1, min(height, _STRIP_SIZE_BYTES // (width * samples * self.dtype.itemsize)))


def write(
    file: BinaryIO,
    pixels: np.ndarray,
    alpha: np.ndarray | None,
    *,
    exif: bytes | None,
    icc_profile: bytes | None,
) -> None:
    """Write a picture that is in memory.

    Args:
        file: where to, empty and seekable.
        pixels: (H, W, 1 or 3), uint8, uint16 or float32.
        alpha: (H, W), same dtype, or None. Grey pixels are then written as RGB, for few programs read
            grey with alpha from TIFF.
        exif, icc_profile: what to put in.

    Raises:
        FormatError: the metadata has an impossible size.
    """
    # The file takes the byte order of its EXIF block, whose values then go over as they are.
    order, description = _NATIVE, {}
    if exif:
        structure = tags.read_structure(memoryview(exif))
        order = structure.order
        entries, _ = tags.read_directory(memoryview(exif), structure, structure.first)
        description = tags.read_description(memoryview(exif), structure, entries)
    height, width, channels = pixels.shape
    samples = channels if alpha is None else 4
    picture = Picture((height, width, samples), pixels.dtype, description, order, icc_profile)
    write_bands(file, picture, _bands(pixels, alpha, picture.rows_per_strip))


def write_bands(file: BinaryIO, picture: Picture, bands: Iterable[np.ndarray]) -> None:
    """Write a picture that comes in bands, from the top; each is asked for when the one before is compressed.

    Args:
        file: where to, empty and seekable.
        picture: what it is.
        bands: (any number of rows, W, samples) each, all rows together.

    Raises:
        FormatError: the metadata has an impossible size.
    """
    order, is_big = picture.order, picture.is_big
    magic = b"II" if order == "<" else b"MM"
    start = struct.pack(order + "HHHQ", 43, 8, 0, 0) if is_big else struct.pack(order + "HI", 42, 0)
    file.write(magic + start)
    offsets, lengths = [], []
    for strip in _encoded(_regroup(bands, picture.rows_per_strip), order):
        offsets.append(file.tell())
        lengths.append(file.write(strip))
    file.write(b"\0" * (file.tell() % 2))

    directory = picture.description | _layout(picture, offsets, lengths)
    first = file.tell()
    file.write(tags.write_directory(directory, order, first, is_big=is_big))
    file.seek(8 if is_big else 4)
    file.write(struct.pack(order + ("Q" if is_big else "I"), first))


def _layout(picture: Picture, offsets: list[int], lengths: list[int]) -> Directory:
    """The tags that say how the picture is stored."""
    height, width, samples = picture.shape
    is_float = picture.dtype == np.float32
    numbers = {
        t.WIDTH: (LONG, [width]),
        t.HEIGHT: (LONG, [height]),
        t.BITS: (SHORT, [8 * picture.dtype.itemsize] * samples),
        t.COMPRESSION: (SHORT, [t.NOT_COMPRESSED if is_float else t.DEFLATE]),
        t.PHOTOMETRIC: (SHORT, [t.BLACK_IS_ZERO if samples == 1 else t.RGB]),
        t.SAMPLES: (SHORT, [samples]),
        t.ROWS_PER_STRIP: (LONG, [picture.rows_per_strip]),
        t.PLANES: (SHORT, [1]),
        t.SAMPLE_FORMAT: (SHORT, [t.FLOAT if is_float else t.UNSIGNED] * samples),
        t.STRIP_OFFSETS: (LONG8 if picture.is_big else LONG, offsets),
        t.STRIP_BYTES: (LONG, lengths),
    }
    if not is_float:
        numbers[t.PREDICTOR] = (SHORT, [t.DIFFERENCES])
    if samples == 4:
        numbers[t.EXTRA_SAMPLES] = (SHORT, [t.STRAIGHT])
    directory: Directory = {tag: _entry(picture.order, *entry) for tag, entry in numbers.items()}
    if picture.icc_profile:
        directory[t.ICC_PROFILE] = Entry(UNDEFINED, len(picture.icc_profile), picture.icc_profile)
    return directory


def _entry(order: str, kind: int, numbers: list[int]) -> Entry:
    letter = {SHORT: "H", LONG: "I", LONG8: "Q"}[kind]
    return Entry(kind, len(numbers), struct.pack(f"{order}{len(numbers)}{letter}", *numbers))


def _bands(pixels: np.ndarray, alpha: np.ndarray | None, rows: int) -> Iterator[np.ndarray]:
    for top in range(0, len(pixels), rows):
        band = pixels[top : top + rows]
        if alpha is not None:
            colours = np.broadcast_to(band, (*band.shape[:2], 3))
            band = np.concatenate([colours, alpha[top : top + rows, :, None]], axis=2)
        yield band


def _regroup(bands: Iterable[np.ndarray], rows: int) -> Iterator[np.ndarray]:
    """The same rows, `rows` at a time; the last may be fewer."""
    left: np.ndarray | None = None
    for band in bands:
        begun = 0
        if left is not None:
            begun = rows - len(left)
            left = np.concatenate([left, band[:begun]])
            if len(left) < rows:
                continue
            yield left
        whole = begun + (len(band) - begun) // rows * rows
        for top in range(begun, whole, rows):
            yield band[top : top + rows]
        left = band[whole:].copy() if whole < len(band) else None  # the band itself need not stay
    if left is not None:
        yield left


def _encoded(strips: Iterator[np.ndarray], order: Order) -> Iterator[bytes]:
    """Strips as the file has them, in order; several are compressed at a time."""
    at_once = usable_cores()
    with ThreadPoolExecutor(at_once, "tiff") as pool:
        waiting: deque[Future[bytes]] = deque()
        for strip in strips:
            if len(waiting) > at_once:
                yield waiting.popleft().result()
            waiting.append(pool.submit(_encode, strip, order))
        while waiting:
            yield waiting.popleft().result()


def _encode(strip: np.ndarray, order: Order) -> bytes:
    if strip.dtype == np.float32:
        return np.ascontiguousarray(strip, dtype=strip.dtype.newbyteorder(order)).tobytes()
    differences = np.empty(strip.shape, strip.dtype.newbyteorder(order))
    differences[:, :1] = strip[:, :1]
    np.subtract(strip[:, 1:], strip[:, :-1], out=differences[:, 1:])
    # Differences of a photograph are noise around zero: run lengths and Huffman codes say all there is.
    compressor = zlib.compressobj(1, strategy=zlib.Z_RLE)
    return compressor.compress(differences.data) + compressor.flush()
