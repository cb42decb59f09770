"""Large TIFF and BigTIFF files, read a band of rows at a time; tifffile finds and decodes the pieces."""

from __future__ import annotations

import logging
import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ImageError, MissingPackageError, cut
from ..system.packages import require
from . import tiff
from .exif import Directory, Entry
from .formats import FormatError, Header
from .image import divide_by_alpha, profile_for, white
from .tiff_writer import Picture

_READ_BYTES = 32 << 20  # what is read from the file at once


def tiff_layout(path: Path) -> tiff.Layout | None:
    """How large the picture in a file is; None: it is no TIFF file, damaged, or of another kind."""
    try:
        data = _map(path)
        return tiff.read_layout(data) if bytes(data[:4]) in tiff.MAGICS else None
    except (OSError, ValueError, FormatError):  # an empty file cannot be mapped
        return None


class LargeTiff:
    """The first picture of a TIFF or BigTIFF file, in bands.

    Its pixels are as the file has them, not turned by its orientation, which is among the tags that travel.

    Args:
        path: of the file.

    Attributes:
        header: what the file says of it.
        picture: its size and dtype, and what goes into a file of its result.

    Raises:
        ImageError: it is damaged, or of a kind that is not read in bands.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.header, self.picture = _describe(_map(path))
        except FormatError as error:
            raise ImageError(f"{path} {error}") from error
        except (OSError, ValueError) as error:
            raise ImageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error

    def bands(self, spans: Iterable[tuple[int, int]]) -> Iterator[np.ndarray]:
        """Rows of the picture.

        Args:
            spans: the first row and the last + 1 of each band; from the top, and each band overlaps the one
                before or follows it.

        Yields:
            (rows, W, samples) a span, in the machine's byte order; alpha is straight, the largest value is
            white. Not to be written to, for the next band begins with its last rows.

        Raises:
            ImageError: the file is damaged.
            MissingPackageError: tifffile is not installed, or a decoder that it needs.
        """
        rows = self._rows()
        before, before_top = np.empty((0, *self.picture.shape[1:]), self.picture.dtype), 0
        left = before  # rows that were read and belong to the next band
        for top, bottom in spans:
            band = np.empty((bottom - top, *before.shape[1:]), before.dtype)
            filled = _fill(band, 0, before[top - before_top :])
            taken = _fill(band, filled, left)
            filled, left = filled + taken, left[taken:]
            while filled < len(band):
                left = self._next(rows)
                taken = _fill(band, filled, left)
                filled, left = filled + taken, left[taken:]
            before, before_top = band, top
            yield band

    def _next(self, rows: Iterator[np.ndarray]) -> np.ndarray:
        try:
            band = next(rows)
        except (MissingPackageError, MemoryError, KeyboardInterrupt):
            raise
        except StopIteration as error:
            raise ImageError(f"{self.path} is cut short") from error
        except Exception as error:  # those of tifffile and its decoders have no common base
            raise _reading_failed(self.path, error) from error
        if self.header.is_inverted:
            return np.subtract(white(band.dtype), band)
        if self.header.is_premultiplied:
            divide_by_alpha(band[..., :3], band[..., 3])
        return band

    def _rows(self) -> Iterator[np.ndarray]:
        """All rows in order, as many at a time as the file has together."""
        tifffile = load_tifffile()
        with tifffile.TiffFile(self.path) as file:
            page = file.pages.first
            decoded = self._plain(file, page) if page.is_final else self._decoded(page)
            for band in decoded:
                yield np.ascontiguousarray(band, self.picture.dtype)

    def _plain(self, file: Any, page: Any) -> Iterator[np.ndarray]:
        """Of a file without compression whose rows follow each other."""
        height, width, samples = self.picture.shape
        dtype = self.picture.dtype.newbyteorder(file.byteorder)
        rows = max(1, _READ_BYTES // (width * samples * dtype.itemsize))
        file.filehandle.seek(page.dataoffsets[0])
        for top in range(0, height, rows):
            count = min(rows, height - top)
            yield file.filehandle.read_array(dtype, count * width * samples).reshape(count, width, samples)

    def _decoded(self, page: Any) -> Iterator[np.ndarray]:
        """Of strips, or of tiles, of which a row makes a band."""
        height, width, samples = self.picture.shape
        rows = page.tilelength if page.is_tiled else page.rowsperstrip
        band = np.zeros((0, width, samples), self.picture.dtype)
        top = -1
        for piece, (_, _, piece_top, left, _), _ in page.segments(buffersize=_READ_BYTES):
            if piece_top != top:
                if len(band):
                    yield band
                top = piece_top
                band = np.zeros((min(rows, height - top), width, samples), self.picture.dtype)
            if piece is not None:  # one that was left out of the file is black
                place = band[:, left : left + piece.shape[2]]
                place[...] = piece[0, : len(band), : place.shape[1]]
        yield band


def _fill(band: np.ndarray, start: int, rows: np.ndarray) -> int:
    """Copy what there is room for from `start` on; how many rows that were."""
    count = min(len(rows), len(band) - start)
    band[start : start + count] = rows[:count]
    return count


def load_tifffile() -> Any:
    """The tifffile module.

    Raises:
        MissingPackageError: it is not installed.
    """
    tifffile = require("tifffile", extra="large")
    # What it says of odd tags is not for who runs n2b; where there is a handler, logging prints nothing.
    logging.getLogger("tifffile").addHandler(logging.NullHandler())
    return tifffile


def _map(path: Path) -> memoryview:
    """The file as writable memory, read where it is looked at; what is written stays in memory."""
    with open(path, "rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))


def _describe(data: memoryview) -> tuple[Header, Picture]:
    layout, (description, order) = tiff.read_layout(data), tiff.read_transferable(data)
    description = _copied(description)  # before the header makes tags neutral, and the file is closed
    header = tiff.read_header(data)
    if layout is None or not layout.is_plain:
        raise FormatError(
            "is too large for the memory and of a kind not read in parts; convert it to interleaved RGB"
        )
    profile = profile_for(1 if layout.shape[2] == 1 else 3, header.icc_profile)
    return header, Picture(layout.shape, np.dtype(layout.dtype), description, order, profile)


def _copied(directory: Directory) -> Directory:
    return {
        tag: _copied(entry) if isinstance(entry, dict) else Entry(entry.kind, entry.count, bytes(entry.value))
        for tag, entry in directory.items()
    }


def _reading_failed(path: Path, error: Exception) -> Exception:
    if "imagecodecs" in str(error):  # "requires the 'imagecodecs' package"
        return MissingPackageError("imagecodecs", extra="large")
    return ImageError(f"{path} cannot be read: {cut(error) or type(error).__name__}")
