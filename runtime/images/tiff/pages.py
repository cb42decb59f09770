"""Find the main image of a TIFF file: the first directory may be a thumbnail or a mask, and the file raw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..codecs import exif as tags
from ..codecs.exif import LONG, LONG8, SHORT, Entry, Structure
from ..codecs.header import FormatError
from . import tags as t

_MOST_PAGES = 64  # followed in a chain of pages
_REDUCED, _MASK = 1, 4  # bits of SUBFILE
_RAW = (
    "is a raw file of a camera; develop it first, to TIFF or PNG, or call it .dng and "
    "pip install 'noise2blur[raw]'"
)
_OLD_REDUCED = 2  # of OLD_SUBFILE


@dataclass(frozen=True)
class Page:
    """A directory of a file, with the first value of each of its tags."""

    offset: int
    entries: dict[int, Entry]
    value: dict[int, int]
    is_sub: bool = False  # a subdirectory of another page

    @property
    def is_secondary(self) -> bool:
        """True for thumbnails, lower resolutions and masks."""
        return bool(self.value.get(t.SUBFILE, 0) & (_REDUCED | _MASK)) or (
            self.value.get(t.OLD_SUBFILE) == _OLD_REDUCED
        )

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.value.get(t.WIDTH, 0) * self.value.get(t.HEIGHT, 0)


@dataclass(frozen=True)
class Pages:
    """The pages of a file.

    Attributes:
        structure: layout of the file's directories.
        first: the first page, whose description holds for the whole file.
        main: the image to read.
        has_more_images: True if there are further images of full size.
    """

    structure: Structure
    first: Page
    main: Page
    has_more_images: bool

    @property
    def described(self) -> dict[int, Entry]:
        """The tags of the main image, and of the first page where it has none."""
        return self.main.entries if self.main is self.first else self.first.entries | self.main.entries


def find_pages(data: memoryview) -> Pages:
    """Read the directories of a file.

    Raises:
        FormatError: the file is damaged, or raw data of a camera.
    """
    structure = tags.read_structure(data)
    if bytes(data[8:10]) == b"CR":  # CR2
        raise FormatError(_RAW)
    pages = list(_pages(data, structure))
    first = pages[0]
    is_raw = any(page.value.get(t.PHOTOMETRIC) in (t.COLOUR_FILTERS, t.LINEAR_RAW) for page in pages)
    if is_raw or t.DNG_VERSION in first.entries:
        raise FormatError(_RAW)
    full = [page for page in pages if not page.is_secondary]
    main = first
    if first.is_secondary and full:
        main = full[0]
    larger = [page for page in full if page.is_sub and page.pixels > main.pixels]
    if larger:  # a preview that is not marked as one
        main = larger[0]
    for tag in t.LAYOUT:  # of other types decoders take different values
        entry = main.entries.get(tag)
        if entry is None:
            continue
        if not entry.count or entry.kind not in (SHORT, LONG, LONG8):
            raise FormatError(f"is damaged: its tag {tag} is of a wrong type")
        if entry.count > 1 and tag not in t.LISTS:
            raise FormatError(f"is damaged: its tag {tag} has several values")
    return Pages(structure, first, main, any(page is not main and not page.is_sub for page in full))


def _pages(data: memoryview, structure: Structure) -> Iterator[Page]:
    """Yield each page of the chain, followed by its subdirectories; damage after the first page ends it."""
    offset, seen = structure.first, set[int]()
    for number in range(_MOST_PAGES):
        if (number and not offset) or offset in seen:
            return
        seen.add(offset)
        try:
            entries, following = tags.read_directory(data, structure, offset)
        except FormatError:
            if number == 0:
                raise
            return
        yield Page(offset, entries, t.first_values(entries, structure.order))
        for inner in t.all_values(entries, structure.order, t.SUBDIRECTORIES)[:_MOST_PAGES]:
            try:
                sub, _ = tags.read_directory(data, structure, inner)
            except FormatError:
                continue
            yield Page(inner, sub, t.first_values(sub, structure.order), is_sub=True)
        offset = following
