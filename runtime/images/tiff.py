"""TIFF and BigTIFF: what OpenCV may be given to decode and how, and what else is known of a picture.

OpenCV's decoder turns pictures by itself, multiplies some by their alpha, inverts only some of those whose
zero is white, and misreads several kinds without a word, differently from version to version. So the tags
that it would act on are made neutral in memory before it sees them, and what it misreads is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import exif as tags
from . import tiff_tags as t
from .exif import ORIENTATION, Directory, Entry, Order, Structure
from .header import FormatError, Header

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_KINDS = {t.UNSIGNED: "unsigned", t.SIGNED: "signed", t.FLOAT: "floating-point"}
# names of document and page, XMP, IPTC, GeoTIFF (6), and GDAL's metadata and value for "no data"
_TRANSFERABLE = (269, 285, 700, 33723, 33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113)
_MOST_PAGES = 64  # a chain of pages is followed this far


def read_header(data: memoryview) -> Header:
    """Read the first directory of `data`, and make neutral there what OpenCV would act on.

    Args:
        data: the file, writable.
    """
    structure = tags.read_structure(data)
    entries, following = tags.read_directory(data, structure, structure.first)
    value = _first_values(entries, structure)
    header = Header("TIFF")
    extra = _check_supported(entries, structure, value)
    header.is_inverted = value[t.PHOTOMETRIC] == t.WHITE_IS_ZERO
    header.is_premultiplied = extra == t.PREMULTIPLIED
    header.has_more_images = _has_more_pages(data, structure, following)
    header.icc_profile = bytes(entries[t.ICC_PROFILE].value) if t.ICC_PROFILE in entries else None
    try:
        description = tags.read_description(data, structure, entries)
        header.exif = tags.write_block(description, structure.order)
    except FormatError:
        header.dropped.append("EXIF block")
        turned = {ORIENTATION: entries[ORIENTATION]} if ORIENTATION in entries else {}
        header.exif = tags.write_block(dict(turned), structure.order)

    neutral = {ORIENTATION: 1}
    if header.is_inverted:
        neutral[t.PHOTOMETRIC] = t.BLACK_IS_ZERO
    if extra is not None:
        neutral[t.EXTRA_SAMPLES] = t.PREMULTIPLIED  # libtiff then leaves the colours alone
    for tag, setting in neutral.items():
        if tag in value:
            tags.overwrite_integer(data, structure, entries[tag], setting)
    return header


@dataclass(frozen=True)
class Layout:
    """How large a picture is.

    Attributes:
        shape: height, width, samples a pixel.
        dtype: the name of numpy's, such as "uint16".
        is_plain: its samples are values, not numbers of colours, and those of a pixel stand together.
    """

    shape: tuple[int, int, int]
    dtype: str
    is_plain: bool

    @property
    def nbytes(self) -> int:
        """Of all pixels, uncompressed."""
        height, width, samples = self.shape
        return height * width * samples * {"uint8": 1, "uint16": 2, "float32": 4}[self.dtype]


def read_layout(data: memoryview) -> Layout | None:
    """How large the first picture is; None: its samples are not of 8, 16 or 32 bits each.

    Raises:
        FormatError: the file is damaged.
    """
    structure = tags.read_structure(data)
    entries, _ = tags.read_directory(data, structure, structure.first)
    value = _first_values(entries, structure)
    bits, samples, kind = (
        value.get(t.BITS, 1),
        value.get(t.SAMPLES, 1),
        value.get(t.SAMPLE_FORMAT, t.UNSIGNED),
    )
    dtype = {(t.UNSIGNED, 8): "uint8", (t.UNSIGNED, 16): "uint16", (t.FLOAT, 32): "float32"}.get((kind, bits))
    if t.WIDTH not in value or t.HEIGHT not in value:
        raise FormatError("is damaged: it does not say how large it is")
    shape = value[t.HEIGHT], value[t.WIDTH], samples
    is_plain = value.get(t.PHOTOMETRIC) != t.PALETTE and (samples == 1 or value.get(t.PLANES, 1) == 1)
    return None if dtype is None else Layout(shape, dtype, is_plain)


def read_transferable(data: memoryview) -> tuple[Directory, Order]:
    """What says something of the picture and holds for its result too, and the byte order of its values.

    Beside what an EXIF block takes along, that is XMP, IPTC, and where on Earth the picture lies.
    """
    structure = tags.read_structure(data)
    entries, _ = tags.read_directory(data, structure, structure.first)
    described = tags.read_description(data, structure, entries)
    return described | {tag: entries[tag] for tag in _TRANSFERABLE if tag in entries}, structure.order


def _first_values(entries: dict[int, Entry], structure: Structure) -> dict[int, int]:
    values = {tag: entry.integers(structure.order) for tag, entry in entries.items() if entry.count <= 16}
    return {tag: numbers[0] for tag, numbers in values.items() if numbers}


def _check_supported(entries: dict[int, Entry], structure: Structure, value: dict[int, int]) -> int | None:
    """Refuse what OpenCV cannot read or misreads.

    Returns:
        What the fourth sample means (a value of ExtraSamples), or None when there is none that says so.
    """
    photometric = value.get(t.PHOTOMETRIC)
    if photometric not in (t.WHITE_IS_ZERO, t.BLACK_IS_ZERO, t.RGB, t.PALETTE, t.YCBCR):
        raise FormatError("is a TIFF file of another colour space (CMYK, Lab, raw, …); convert it to RGB")
    bits, samples, kind = (
        value.get(t.BITS, 1),
        value.get(t.SAMPLES, 1),
        value.get(t.SAMPLE_FORMAT, t.UNSIGNED),
    )
    if len({*_all_values(entries, structure, t.BITS)}) > 1:
        raise FormatError("is a TIFF file whose channels differ in depth; convert it to 8 or 16 bit")
    depth_is_read = (kind, bits) in {(t.UNSIGNED, 8), (t.UNSIGNED, 16), (t.FLOAT, 32)}
    if photometric in (t.PALETTE, t.YCBCR):
        depth_is_read = (kind, bits) == (t.UNSIGNED, 8)
    if not depth_is_read and not ((kind, bits) in {(t.UNSIGNED, 1), (t.UNSIGNED, 4)} and samples == 1):
        raise FormatError(
            f"is a TIFF file with {bits}-bit {_KINDS.get(kind, 'unknown')} samples; "
            "convert it to 8 or 16 bit, unsigned, or to 32-bit floating point"
        )
    colours = 3 if photometric in (t.RGB, t.YCBCR) else 1
    if samples not in ((3, 4) if colours == 3 else (1,)):
        raise FormatError(f"is a TIFF file of {samples} channels; convert it to grey, RGB or RGB with alpha")
    if value.get(t.PLANES, 1) != 1 and bits > 8 and samples > 1:
        raise FormatError("is a TIFF file whose channels are stored apart; convert it to interleaved ones")
    return value.get(t.EXTRA_SAMPLES) if samples == 4 else None


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
        if not _first_values(entries, structure).get(t.SUBFILE, 0) & 1:  # 1: a smaller copy, a thumbnail
            return True
    return False
