"""Name the tags of a TIFF directory that say how an image is stored (TIFF 6.0), and some of their values."""

from __future__ import annotations

from ..codecs.exif import Entry, Order

SUBFILE, OLD_SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 255, 256, 257, 258, 259, 262
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES = 273, 277, 278, 279
PLANES, PREDICTOR, EXTRA_SAMPLES, SAMPLE_FORMAT, ICC_PROFILE = 284, 317, 338, 339, 34675
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES = 322, 323, 324, 325
SUBDIRECTORIES, DNG_VERSION = 330, 50706
RESOLUTION_ACROSS, RESOLUTION_DOWN, RESOLUTION_UNIT, XMP = 282, 283, 296, 700

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6  # of PHOTOMETRIC
COLOUR_FILTERS, LINEAR_RAW = 32803, 34892  # of PHOTOMETRIC in raw files
PREMULTIPLIED, STRAIGHT = 1, 2  # of EXTRA_SAMPLES
LAYOUT = (
    WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES,
    PLANES, PREDICTOR, EXTRA_SAMPLES, SAMPLE_FORMAT, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES,
)  # fmt: skip
LISTS = (BITS, STRIP_OFFSETS, STRIP_BYTES, EXTRA_SAMPLES, SAMPLE_FORMAT, TILE_OFFSETS, TILE_BYTES)  # of them
UNSIGNED, SIGNED, FLOAT = 1, 2, 3  # of SAMPLE_FORMAT
NOT_COMPRESSED, LZW, DEFLATE, PACKBITS, OLD_DEFLATE = 1, 5, 8, 32773, 32946  # of COMPRESSION
DIFFERENCES = 2  # of PREDICTOR: each sample is stored minus its left neighbour


def first_values(entries: dict[int, Entry], order: Order) -> dict[int, int]:
    """Return the first value of each tag that has integers, of few values."""
    values = {tag: entry.integers(order) for tag, entry in entries.items() if entry.count <= 16}
    return {tag: numbers[0] for tag, numbers in values.items() if numbers}


def all_values(entries: dict[int, Entry], order: Order, tag: int) -> tuple[int, ...]:
    """Return the values of a tag that has integers; none if it is absent."""
    return entries[tag].integers(order) if tag in entries else ()
