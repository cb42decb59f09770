"""Read the header of TIFF and BigTIFF files, and prepare them for OpenCV's decoder.

OpenCV's decoder turns images by itself, multiplies some by their alpha, inverts only some of those whose zero
is white, and silently misreads several kinds, differently from version to version. So the tags that it would
act on are neutralised in memory first, and files that it misreads are refused.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..codecs import exif as tags
from ..codecs.exif import ORIENTATION, Directory, Entry, Order
from ..codecs.header import FormatError, Header
from ..codecs.metadata import Metadata
from . import tags as t
from .pages import Page, find_pages
from .pieces import check_deflate, find_pieces

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_KINDS = {t.UNSIGNED: "unsigned", t.SIGNED: "signed", t.FLOAT: "floating-point"}
# names of document and page, XMP, IPTC, GeoTIFF (6), and GDAL's metadata and value for "no data"
_TRANSFERABLE = (269, 285, 700, 33723, 33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113)


def read_header(data: memoryview, *, checks_pixels: bool = True) -> Header:
    """Read the directory of the main image, make it the first, and neutralise tags that OpenCV would act on.

    Args:
        data: the file, writable.
        checks_pixels: compare the checksums of compressed pixels, which OpenCV does not.
    """
    pages = find_pages(data)
    structure, page, value = pages.structure, pages.main, pages.main.value
    header = Header("TIFF")
    extra = _check_supported(page, structure.order)
    pieces = find_pieces(page, structure.order, len(data))
    if checks_pixels and value.get(t.COMPRESSION) in (t.DEFLATE, t.OLD_DEFLATE):
        check_deflate(data, pieces)
    entries = pages.described
    header.is_inverted = value[t.PHOTOMETRIC] == t.WHITE_IS_ZERO
    header.is_premultiplied = extra == t.PREMULTIPLIED
    header.has_more_images = pages.has_more_images
    header.icc_profile = bytes(entries[t.ICC_PROFILE].value) if t.ICC_PROFILE in entries else None
    try:
        description = tags.read_description(data, structure, entries)
        header.exif = tags.write_block(description, structure.order)
    except FormatError:
        header.dropped.append("EXIF block")
        turned = {ORIENTATION: entries[ORIENTATION]} if ORIENTATION in entries else {}
        header.exif = tags.write_block(dict(turned), structure.order)

    header.metadata = Metadata(
        xmp=bytes(entries[t.XMP].value) if t.XMP in entries else None,
        tiff_tags={
            tag: Entry(entries[tag].kind, entries[tag].count, bytes(entries[tag].value))
            for tag in _TRANSFERABLE
            if tag in entries and tag != t.XMP
        },
        tiff_order=structure.order,
    )

    neutral = {ORIENTATION: 1}
    if header.is_inverted:
        neutral[t.PHOTOMETRIC] = t.BLACK_IS_ZERO
    if extra is not None:
        neutral[t.EXTRA_SAMPLES] = t.PREMULTIPLIED  # libtiff then leaves the colours alone
    for tag, setting in neutral.items():
        if tag in value:
            tags.overwrite_integer(data, structure, page.entries[tag], setting)
    tags.overwrite_first(data, structure, page.offset)
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
    offset: int

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
    main = find_pages(data).main
    value = main.value
    bits, samples, kind = _samples(value)
    dtype = {(t.UNSIGNED, 8): "uint8", (t.UNSIGNED, 16): "uint16", (t.FLOAT, 32): "float32"}.get((kind, bits))
    if t.WIDTH not in value or t.HEIGHT not in value:
        raise FormatError("is damaged: it has no size")
    shape = value[t.HEIGHT], value[t.WIDTH], samples
    is_plain = value.get(t.PHOTOMETRIC) != t.PALETTE and (samples == 1 or value.get(t.PLANES, 1) == 1)
    return None if dtype is None else Layout(shape, dtype, is_plain, main.offset)


def read_transferable(data: memoryview) -> tuple[Directory, Order]:
    """Return the tags that also hold for the denoised image, and the byte order of their values.

    Besides the tags of an EXIF block these are XMP, IPTC and GeoTIFF.
    """
    pages = find_pages(data)
    entries = pages.described
    described = tags.read_description(data, pages.structure, entries)
    described |= {tag: entries[tag] for tag in _TRANSFERABLE if tag in entries}
    return described, pages.structure.order


def _samples(value: dict[int, int]) -> tuple[int, int, int]:
    """Return the bits of a sample, the samples of a pixel, and the kind of number."""
    return value.get(t.BITS, 1), value.get(t.SAMPLES, 1), value.get(t.SAMPLE_FORMAT, t.UNSIGNED)


def _check_supported(page: Page, order: Order) -> int | None:
    """Raise FormatError for files that OpenCV cannot read or misreads.

    Returns:
        The meaning of the fourth sample (a value of ExtraSamples); None: there is none.
    """
    value = page.value
    photometric = value.get(t.PHOTOMETRIC)
    if photometric not in (t.WHITE_IS_ZERO, t.BLACK_IS_ZERO, t.RGB, t.PALETTE, t.YCBCR):
        raise FormatError("is a TIFF file of another colour space (CMYK, Lab, …); convert it to RGB")
    bits, samples, kind = _samples(value)
    if len({*t.all_values(page.entries, order, t.BITS)}) > 1:
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
        raise FormatError("is a TIFF file with separate planes; convert it to interleaved channels")
    return value.get(t.EXTRA_SAMPLES) if samples == 4 else None
