"""Write TIFF files (TIFF 6.0, BigTIFF beyond 4 GB): integers compressed losslessly, floats uncompressed.

This writer takes the image in bands, so that it need not fit into memory, marks alpha as such, and writes the
colour profile and the EXIF directories. OpenCV, libvips and tifffile each lose EXIF or the colour profile.
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

from ...system.memory import usable_cores
from ..codecs import exif as tags
from ..codecs.exif import LONG, LONG8, SHORT, UNDEFINED, Directory, Entry, Order
from ..codecs.metadata import Metadata
from . import tags as t

_STRIP_SIZE_BYTES = 1 << 20
LARGEST_TIFF_BYTES = 4_200_000_000  # of pixels; more of them are written as BigTIFF
_NATIVE: Order = "<" if sys.byteorder == "little" else ">"


@dataclass(frozen=True)
class TiffInfo:
    """The size, type and metadata of an image to write.

    Attributes:
        shape: height, width and samples per pixel: 1 grey, 3 RGB, 4 RGB and straight alpha.
        dtype: uint8, uint16 or float32.
        description: descriptive tags, with the EXIF directories.
        order: byte order of their values and of the file.
        icc_profile: colour profile.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype
    description: Directory = field(default_factory=dict)
    order: Order = _NATIVE
    icc_profile: bytes | None = None

    @property
    def nbytes(self) -> int:
        """Size of all pixels in bytes, uncompressed."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    @property
    def is_big(self) -> bool:
        """True if it has to be written as BigTIFF."""
        return self.nbytes > LARGEST_TIFF_BYTES

    @property
    def rows_per_strip(self) -> int:
        """Rows of about a megabyte."""
        height, width, samples = self.shape
        return max(1, min(height, _STRIP_SIZE_BYTES // (width * samples * self.dtype.itemsize)))


def write(
    file: BinaryIO,
    pixels: np.ndarray,
    alpha: np.ndarray | None,
    *,
    exif: bytes | None,
    icc_profile: bytes | None,
    metadata: Metadata,
) -> None:
    """Write an image that is in memory.

    Args:
        file: empty and seekable.
        pixels: (H, W, 1 or 3), uint8, uint16 or float32.
        alpha: (H, W), same dtype, or None. Grey is then written as RGB: few programs read grey with alpha
            from TIFF.
        exif, icc_profile: EXIF block and colour profile.
        metadata: everything else that is kept.

    Raises:
        FormatError: the metadata has an impossible size.
    """
    # The file has the byte order of its EXIF block, whose values are then copied unchanged.
    order, description = metadata.tiff_order if metadata.tiff_tags else _NATIVE, {}
    if exif:
        structure = tags.read_structure(memoryview(exif))
        order = structure.order
        entries, _ = tags.read_directory(memoryview(exif), structure, structure.first)
        description = tags.read_description(memoryview(exif), structure, entries)
    description = _described(metadata, order) | description
    height, width, channels = pixels.shape
    samples = channels if alpha is None else 4
    info = TiffInfo((height, width, samples), pixels.dtype, description, order, icc_profile)
    write_bands(file, info, _bands(pixels, alpha, info.rows_per_strip))


def _described(metadata: Metadata, order: Order) -> Directory:
    """Return the tags of metadata outside the EXIF block, in this byte order."""
    described: Directory = {
        tag: entry if metadata.tiff_order == order or isinstance(entry, dict) else entry.swapped()
        for tag, entry in metadata.tiff_tags.items()
    }
    if metadata.density and metadata.density.unit:
        unit = 2 if metadata.density.unit == "inch" else 3
        described[t.RESOLUTION_UNIT] = _entry(order, SHORT, [unit])
        for tag, value in (
            (t.RESOLUTION_ACROSS, metadata.density.across),
            (t.RESOLUTION_DOWN, metadata.density.down),
        ):
            described[tag] = Entry(5, 1, struct.pack(order + "II", round(1000 * value), 1000))
    if metadata.xmp:
        described[t.XMP] = Entry(1, len(metadata.xmp), metadata.xmp)
    return described


def write_bands(file: BinaryIO, info: TiffInfo, bands: Iterable[np.ndarray]) -> None:
    """Write an image in bands, from the top; bands are taken one at a time.

    Args:
        file: empty and seekable.
        info: of the whole image.
        bands: (any number of rows, W, samples) each, all rows together.

    Raises:
        FormatError: the metadata has an impossible size.
    """
    order, is_big = info.order, info.is_big
    magic = b"II" if order == "<" else b"MM"
    start = struct.pack(order + "HHHQ", 43, 8, 0, 0) if is_big else struct.pack(order + "HI", 42, 0)
    file.write(magic + start)
    offsets, lengths = [], []
    for strip in _encoded(_regroup(bands, info.rows_per_strip), order):
        offsets.append(file.tell())
        lengths.append(file.write(strip))
    file.write(b"\0" * (file.tell() % 2))

    directory = info.description | _layout(info, offsets, lengths)
    first = file.tell()
    file.write(tags.write_directory(directory, order, first, is_big=is_big))
    file.seek(8 if is_big else 4)
    file.write(struct.pack(order + ("Q" if is_big else "I"), first))


def _layout(info: TiffInfo, offsets: list[int], lengths: list[int]) -> Directory:
    """Return the tags that describe how the image is stored."""
    height, width, samples = info.shape
    is_float = info.dtype == np.float32
    numbers = {
        t.WIDTH: (LONG, [width]),
        t.HEIGHT: (LONG, [height]),
        t.BITS: (SHORT, [8 * info.dtype.itemsize] * samples),
        t.COMPRESSION: (SHORT, [t.NOT_COMPRESSED if is_float else t.DEFLATE]),
        t.PHOTOMETRIC: (SHORT, [t.BLACK_IS_ZERO if samples == 1 else t.RGB]),
        t.SAMPLES: (SHORT, [samples]),
        t.ROWS_PER_STRIP: (LONG, [info.rows_per_strip]),
        t.PLANES: (SHORT, [1]),
        t.SAMPLE_FORMAT: (SHORT, [t.FLOAT if is_float else t.UNSIGNED] * samples),
        t.STRIP_OFFSETS: (LONG8 if info.is_big else LONG, offsets),
        t.STRIP_BYTES: (LONG, lengths),
    }
    if not is_float:
        numbers[t.PREDICTOR] = (SHORT, [t.DIFFERENCES])
    if samples == 4:
        numbers[t.EXTRA_SAMPLES] = (SHORT, [t.STRAIGHT])
    directory: Directory = {tag: _entry(info.order, *entry) for tag, entry in numbers.items()}
    if info.icc_profile:
        directory[t.ICC_PROFILE] = Entry(UNDEFINED, len(info.icc_profile), info.icc_profile)
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
    """Return the same rows, `rows` at a time; the last may be fewer."""
    rest: np.ndarray | None = None
    for band in bands:
        begun = 0
        if rest is not None:
            begun = rows - len(rest)
            rest = np.concatenate([rest, band[:begun]])
            if len(rest) < rows:
                continue
            yield rest
        whole = begun + (len(band) - begun) // rows * rows
        for top in range(begun, whole, rows):
            yield band[top : top + rows]
        rest = band[whole:].copy() if whole < len(band) else None  # the band itself is released
    if rest is not None:
        yield rest


def _encoded(strips: Iterator[np.ndarray], order: Order) -> Iterator[bytes]:
    """Encode strips in order, several at a time."""
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
    # Differences of a photograph are noise around zero: run lengths and Huffman codes are enough.
    compressor = zlib.compressobj(1, strategy=zlib.Z_RLE)
    return compressor.compress(differences.data) + compressor.flush()
