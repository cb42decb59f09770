"""Read the header of TIFF and BigTIFF files, and prepare them for OpenCV's decoder.

OpenCV's decoder turns images by itself, multiplies some by their alpha, inverts only some of those whose zero
is white, and silently misreads several kinds, differently from version to version. So the tags that it would
act on are neutralised in memory first, and files that it misreads are refused.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import exif as tags
from .exif import ORIENTATION, Directory, Entry, Order, Structure
from .header import FormatError, Header

# Tags that say how an image is stored (TIFF 6.0), and some of their values.
SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES = 273, 277, 278, 279
PLANES, PREDICTOR, EXTRA_SAMPLES, SAMPLE_FORMAT, ICC_PROFILE = 284, 317, 338, 339, 34675

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6  # of PHOTOMETRIC
PREMULTIPLIED, STRAIGHT = 1, 2  # of EXTRA_SAMPLES
UNSIGNED, SIGNED, FLOAT = 1, 2, 3  # of SAMPLE_FORMAT
NOT_COMPRESSED, DEFLATE = 1, 8  # of COMPRESSION
DIFFERENCES = 2  # of PREDICTOR: each sample is stored minus its left neighbour

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_KINDS = {UNSIGNED: "unsigned", SIGNED: "signed", FLOAT: "floating-point"}
# names of document and page, XMP, IPTC, GeoTIFF (6), and GDAL's metadata and value for "no data"
_TRANSFERABLE = (269, 285, 700, 33723, 33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113)
_MOST_PAGES = 64  # followed in a chain of pages


def read_header(data: memoryview) -> Header:
    """Read the first directory, and neutralise the tags that OpenCV would act on.

    Args:
        data: the file, writable.
    """
    structure = tags.read_structure(data)
    entries, following = tags.read_directory(data, structure, structure.first)
    value = _first_values(entries, structure)
    header = Header("TIFF")
    extra = _check_supported(entries, structure, value)
    header.is_inverted = value[PHOTOMETRIC] == WHITE_IS_ZERO
    header.is_premultiplied = extra == PREMULTIPLIED
    header.has_more_images = _has_more_pages(data, structure, following)
    header.icc_profile = bytes(entries[ICC_PROFILE].value) if ICC_PROFILE in entries else None
    try:
        description = tags.read_description(data, structure, entries)
        header.exif = tags.write_block(description, structure.order)
    except FormatError:
        header.dropped.append("EXIF block")
        turned = {ORIENTATION: entries[ORIENTATION]} if ORIENTATION in entries else {}
        header.exif = tags.write_block(dict(turned), structure.order)

    neutral = {ORIENTATION: 1}
    if header.is_inverted:
        neutral[PHOTOMETRIC] = BLACK_IS_ZERO
    if extra is not None:
        neutral[EXTRA_SAMPLES] = PREMULTIPLIED  # libtiff then leaves the colours alone
    for tag, setting in neutral.items():
        if tag in value:
            tags.overwrite_integer(data, structure, entries[tag], setting)
    return header


@dataclass(frozen=True)
class Layout:
    """The size and type of an image.

    Attributes:
        shape: height, width, samples per pixel.
        dtype: name of the numpy dtype, such as "uint16".
        is_plain: no palette, and the samples of a pixel are contiguous.
    """

    shape: tuple[int, int, int]
    dtype: str
    is_plain: bool

    @property
    def nbytes(self) -> int:
        """Size of all pixels in bytes, uncompressed."""
        height, width, samples = self.shape
        return height * width * samples * {"uint8": 1, "uint16": 2, "float32": 4}[self.dtype]


def read_layout(data: memoryview) -> Layout | None:
    """Return size and dtype of the first image; None if its samples have not 8, 16 or 32 bits.

    Raises:
        FormatError: the file is damaged.
    """
    structure = tags.read_structure(data)
    entries, _ = tags.read_directory(data, structure, structure.first)
    value = _first_values(entries, structure)
    bits, samples, kind = (
        value.get(BITS, 1),
        value.get(SAMPLES, 1),
        value.get(SAMPLE_FORMAT, UNSIGNED),
    )
    dtype = {(UNSIGNED, 8): "uint8", (UNSIGNED, 16): "uint16", (FLOAT, 32): "float32"}.get((kind, bits))
    if WIDTH not in value or HEIGHT not in value:
        raise FormatError("is damaged: it has no size")
    shape = value[HEIGHT], value[WIDTH], samples
    is_plain = value.get(PHOTOMETRIC) != PALETTE and (samples == 1 or value.get(PLANES, 1) == 1)
    return None if dtype is None else Layout(shape, dtype, is_plain)


def read_transferable(data: memoryview) -> tuple[Directory, Order]:
    """Return the tags that also hold for the denoised image, and the byte order of their values.

    Besides the tags of an EXIF block these are XMP, IPTC and GeoTIFF.
    """
    structure = tags.read_structure(data)
    entries, _ = tags.read_directory(data, structure, structure.first)
    described = tags.read_description(data, structure, entries)
    return described | {tag: entries[tag] for tag in _TRANSFERABLE if tag in entries}, structure.order


def _first_values(entries: dict[int, Entry], structure: Structure) -> dict[int, int]:
    values = {tag: entry.integers(structure.order) for tag, entry in entries.items() if entry.count <= 16}
    return {tag: numbers[0] for tag, numbers in values.items() if numbers}


def _check_supported(entries: dict[int, Entry], structure: Structure, value: dict[int, int]) -> int | None:
    """Raise FormatError for files that OpenCV cannot read or misreads.

    Returns:
        The meaning of the fourth sample (a value of ExtraSamples); None: there is none.
    """
    photometric = value.get(PHOTOMETRIC)
    if photometric not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR):
        raise FormatError("is a TIFF file of another colour space (CMYK, Lab, raw, …); convert it to RGB")
    bits, samples, kind = (
        value.get(BITS, 1),
        value.get(SAMPLES, 1),
        value.get(SAMPLE_FORMAT, UNSIGNED),
    )
    if len({*_all_values(entries, structure, BITS)}) > 1:
        raise FormatError("is a TIFF file whose channels differ in depth; convert it to 8 or 16 bit")
    depth_is_read = (kind, bits) in {(UNSIGNED, 8), (UNSIGNED, 16), (FLOAT, 32)}
    if photometric in (PALETTE, YCBCR):
        depth_is_read = (kind, bits) == (UNSIGNED, 8)
    if not depth_is_read and not ((kind, bits) in {(UNSIGNED, 1), (UNSIGNED, 4)} and samples == 1):
        raise FormatError(
            f"is a TIFF file with {bits}-bit {_KINDS.get(kind, 'unknown')} samples; "
            "convert it to 8 or 16 bit, unsigned, or to 32-bit floating point"
        )
    colours = 3 if photometric in (RGB, YCBCR) else 1
    if samples not in ((3, 4) if colours == 3 else (1,)):
        raise FormatError(f"is a TIFF file of {samples} channels; convert it to grey, RGB or RGB with alpha")
    if value.get(PLANES, 1) != 1 and bits > 8 and samples > 1:
        raise FormatError("is a TIFF file with separate planes; convert it to interleaved channels")
    return value.get(EXTRA_SAMPLES) if samples == 4 else None


def _all_values(entries: dict[int, Entry], structure: Structure, tag: int) -> tuple[int, ...]:
    return entries[tag].integers(structure.order) if tag in entries else ()


def _has_more_pages(data: memoryview, structure: Structure, offset: int) -> bool:
    for _ in range(_MOST_PAGES):
        if not offset:
            return False
        try:
            entries, offset = tags.read_directory(data, structure, offset)
        except FormatError:
            return False
        if not _first_values(entries, structure).get(SUBFILE, 0) & 1:  # 1: a thumbnail
            return True
    return False
