"""Read large TIFF and BigTIFF files a band of rows at a time, by tifffile."""

from __future__ import annotations

import logging
import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ImageError, MissingPackageError, shorten
from ..system.packages import require
from .codecs.exif import Directory, Entry
from .decode import divide_by_alpha, white
from .formats import FormatError, Header
from .image import profile_for, reading
from .scale import to_full_scale
from .tiff import reader as tiff
from .tiff.writer import TiffInfo

_READ_BYTES = 32 << 20  # read from the file at a time


def tiff_layout(path: Path) -> tiff.Layout | None:
    """Return size and dtype of the image in a file; None if it is no TIFF file, damaged or not supported."""
    try:
        data = _map(path)
        return tiff.read_layout(data) if bytes(data[:4]) in tiff.MAGICS else None
    except (OSError, ValueError, FormatError):  # an empty file cannot be mapped
        return None


class LargeTiff:
    """The first image of a TIFF or BigTIFF file, in bands.

    Pixels are not turned upright: the orientation is among the tags that go into the result.

    Args:
        path: of the file.
        white_level: as of `read_image`.

    Attributes:
        header: of the file.
        info: size, dtype and the metadata for a file of its result.

    Raises:
        ImageError: it is damaged or cannot be read in bands.
    """

    def __init__(self, path: Path, white_level: float | None = None) -> None:
        self.path = path
        self.white_level = white_level
        with reading(path):
            self.header, self.info, self._offset = _describe(_map(path))

    def bands(self, spans: Iterable[tuple[int, int]]) -> Iterator[np.ndarray]:
        """Read rows of the image.

        Args:
            spans: the first row and the last + 1 of each band, from the top; each band overlaps the previous
                one or follows it.

        Yields:
            (rows, W, samples) per span, in native byte order; alpha is straight, the largest value is white.
            Do not write to it: the next band starts with its last rows.

        Raises:
            ImageError: the file is damaged.
            MissingPackageError: tifffile or a decoder that it needs is not installed.
        """
        with reading(self.path):
            yield from self._bands(spans)

    def _bands(self, spans: Iterable[tuple[int, int]]) -> Iterator[np.ndarray]:
        rows = self._rows()
        before, before_top = np.empty((0, *self.info.shape[1:]), self.info.dtype), 0
        pending = before  # rows already read, of the next band
        for top, bottom in spans:
            band = np.empty((bottom - top, *before.shape[1:]), before.dtype)
            filled = _fill(band, 0, before[top - before_top :])
            count = _fill(band, filled, pending)
            filled, pending = filled + count, pending[count:]
            while filled < len(band):
                pending = self._next(rows)
                count = _fill(band, filled, pending)
                filled, pending = filled + count, pending[count:]
            before, before_top = band, top
            yield band

    def _next(self, rows: Iterator[np.ndarray]) -> np.ndarray:
        try:
            band = next(rows)
        except (MissingPackageError, MemoryError, KeyboardInterrupt):
            raise
        except FormatError as error:
            raise ImageError(f"{self.path} {error}") from error
        except StopIteration as error:
            raise ImageError(f"{self.path} is cut short") from error
        except Exception as error:  # the errors of tifffile and its decoders have no common base
            raise _reading_failed(self.path, error) from error
        if self.white_level is not None:
            band = to_full_scale(band, self.white_level)
        if self.header.is_inverted:
            return np.subtract(white(band.dtype), band)
        if self.header.is_premultiplied:
            divide_by_alpha(band[..., :3], band[..., 3])
        return band

    def _rows(self) -> Iterator[np.ndarray]:
        """Read all rows in order, in the chunks of the file."""
        tifffile = load_tifffile()
        with tifffile.TiffFile(self.path) as file:
            file.filehandle.seek(self._offset)
            page = tifffile.TiffPage(file, 0)
            shape = page.imagelength, page.imagewidth, page.samplesperpixel
            # a tag without a value is as good as none to us, and not to tifffile
            if (shape, page.dtype) != (self.info.shape, self.info.dtype) or page.planarconfig not in (1, 2):
                raise FormatError("is damaged: its tags contradict each other")
            decoded = self._plain(file, page) if page.is_final else self._decoded(page)
            for band in decoded:
                yield np.ascontiguousarray(band, self.info.dtype)

    def _plain(self, file: Any, page: Any) -> Iterator[np.ndarray]:
        """Read a file without compression whose rows are contiguous."""
        height, width, samples = self.info.shape
        dtype = self.info.dtype.newbyteorder(file.byteorder)
        rows = max(1, _READ_BYTES // (width * samples * dtype.itemsize))
        file.filehandle.seek(page.dataoffsets[0])
        for top in range(0, height, rows):
            count = min(rows, height - top)
            yield file.filehandle.read_array(dtype, count * width * samples).reshape(count, width, samples)

    def _decoded(self, page: Any) -> Iterator[np.ndarray]:
        """Read strips, or rows of tiles."""
        height, width, samples = self.info.shape
        rows = page.tilelength if page.is_tiled else page.rowsperstrip
        band = np.zeros((0, width, samples), self.info.dtype)
        top = -1
        for piece, (_, _, piece_top, left, _), _ in page.segments(buffersize=_READ_BYTES):
            if piece_top != top:
                if len(band):
                    yield band
                top = piece_top
                band = np.zeros((min(rows, height - top), width, samples), self.info.dtype)
            if piece is None:
                raise FormatError("is damaged: a strip or tile is missing")
            place = band[:, left : left + piece.shape[2]]
            place[...] = piece[0, : len(band), : place.shape[1]]
        yield band


def _fill(band: np.ndarray, start: int, rows: np.ndarray) -> int:
    """Copy the rows that fit from `start` on; return their number."""
    count = min(len(rows), len(band) - start)
    band[start : start + count] = rows[:count]
    return count


def load_tifffile() -> Any:
    """Return the tifffile module.

    Raises:
        MissingPackageError: it is not installed.
    """
    tifffile = require("tifffile", extra="large")
    # Its remarks on unusual tags are not for users of n2b.
    logging.getLogger("tifffile").addHandler(logging.NullHandler())
    return tifffile


def _map(path: Path) -> memoryview:
    """Map the file as writable memory; changes do not reach the file."""
    with open(path, "rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))


def _describe(data: memoryview) -> tuple[Header, TiffInfo, int]:
    layout, (description, order) = tiff.read_layout(data), tiff.read_transferable(data)
    description = _copied(description)  # before read_header neutralises tags
    header = tiff.read_header(data, checks_pixels=False)  # tifffile's decoders do
    if layout is None or not layout.is_plain:
        raise FormatError(
            "is too large for the memory and cannot be read in parts; convert it to interleaved RGB"
        )
    profile = profile_for(1 if layout.shape[2] == 1 else 3, header.icc_profile)
    info = TiffInfo(layout.shape, np.dtype(layout.dtype), description, order, profile)
    return header, info, layout.offset


def _copied(directory: Directory) -> Directory:
    return {
        tag: _copied(entry) if isinstance(entry, dict) else Entry(entry.kind, entry.count, bytes(entry.value))
        for tag, entry in directory.items()
    }


def _reading_failed(path: Path, error: Exception) -> Exception:
    if "imagecodecs" in str(error):  # "requires the 'imagecodecs' package"
        return MissingPackageError("imagecodecs", extra="large")
    return ImageError(f"{path} cannot be read: {shorten(error) or type(error).__name__}")
