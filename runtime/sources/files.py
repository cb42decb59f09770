"""Find the images and videos that files, folders and globs name."""

from __future__ import annotations

import glob
import logging
import os
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from ..errors import UserError
from ..images.image import IMAGE_SUFFIXES
from ..images.raw import raw_suffixes
from .inputs import Input, find_input

_logger = logging.getLogger(__name__)


def find_images(inputs: Sequence[str | Path | Input]) -> list[Path]:
    """The image files that files, folders (with all their subfolders) and globs name.

    Returns:
        Paths in the order of the inputs, and in natural order (2.png before 10.png) within each; each
        file once. A file that is named is taken as it is. In folders and globs hidden files and
        unfinished ones (.part) are skipped, and so is what has no image suffix. Linked folders in a folder
        are left out with a warning.

    Raises:
        UserError: an input does not exist, a folder cannot be listed, or no image was found.
    """
    return find_files(inputs, IMAGE_SUFFIXES + raw_suffixes(), "images")


def find_files(inputs: Sequence[str | Path | Input], suffixes: tuple[str, ...], kind: str) -> list[Path]:
    """As `find_images`, for files that end in any of `suffixes`.

    Args:
        inputs: files, folders, globs.
        suffixes: in lower case, with their dots.
        kind: what such files are called, for the message.
    """
    found: dict[str, Path] = {}
    sources = [find_input(name) for name in inputs]
    for source in sources:
        for path in _files_of(source, suffixes):
            found.setdefault(os.path.abspath(path), path)  # noqa: PTH100, two links are two images
    if not found:
        places = ", ".join(source.shown_name for source in sources) or "nothing"
        raise UserError(f"no {kind} found in {places}; files count that end in {' '.join(suffixes)}")
    return list(found.values())


def files_in(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Return the files in a folder and its subfolders that end in any of `suffixes`, in natural order.

    Raises:
        UserError: a folder cannot be listed.
    """
    return sorted(_walk(folder, suffixes), key=_natural_order)


def _files_of(source: Input, suffixes: tuple[str, ...]) -> list[Path]:
    if source.path is None or source.kind == "dnd":
        raise UserError(f"{source.shown_name} is no file or folder")
    if source.kind == "folder":
        return files_in(source.path, suffixes)
    if source.kind != "glob":
        return [source.path]
    matches = [Path(match) for match in glob.glob(str(source.path), recursive=True)]  # noqa: PTH207, may be absolute
    inside = (path for match in matches if match.is_dir() for path in _walk(match, suffixes))
    return sorted({*(path for path in matches if _counts(path, suffixes)), *inside}, key=_natural_order)


def _walk(folder: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename} cannot be listed: {error.strerror}") from error

    linked: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        linked += (path for name in folders if (path := Path(parent, name)).is_symlink())
        yield from (path for name in files if _counts(path := Path(parent, name), suffixes))
    if linked:  # they may lead back here
        others = f" and {len(linked) - 1} more linked folders" if linked[1:] else ", a linked folder"
        _warn_once(f"left out: {linked[0]}{others}; name it as an input too, to take what it contains")


@cache
def _warn_once(message: str) -> None:
    """Log a warning once, however often the inputs are searched."""
    _logger.warning(message)


def _counts(path: Path, suffixes: tuple[str, ...]) -> bool:
    name = path.name.lower()
    if name.startswith(".") or ".part." in name:
        return False
    return path.suffix.lower() in suffixes and not path.is_dir()


def _natural_order(path: Path) -> list[list[str | int]]:
    """Sorts img2 before img10: words and numbers alternate, so like is compared with like."""
    return [
        [
            int(piece) if index % 2 else piece
            for index, piece in enumerate(re.split(r"([0-9]+)", part.casefold()))
        ]
        for part in path.parts
    ]
