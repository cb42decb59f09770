"""Find the files of folders that are completely written, new or changed since the last look."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from ..errors import UserError
from .files import files_in

_logger = logging.getLogger(__name__)

_LOOKS = 2  # in a row at which a file is the same: then it is complete

_State = tuple[int, int, int]  # size, time of change, inode


class Arrivals:
    """The files of folders as they arrive, each once until it changes.

    A file counts when size and time of change are the same in three looks in a row; so one that is still
    written is left for later, and one that is renamed into the folder comes whole. By looks and not by
    notifications, which network file systems do not send. Only what is there is remembered.

    Args:
        folders: with their subfolders.
        suffixes: of the files, in lower case with their dots; hidden files and .part are skipped.
        results: folder that is skipped; it may lie in one of the others.
    """

    def __init__(self, folders: Sequence[Path], suffixes: tuple[str, ...], results: Path) -> None:
        self._folders, self._suffixes = folders, suffixes
        self._skipped = {folder: _inside(results, folder) for folder in folders}
        self._seen: dict[Path, tuple[_State, int]] = {}  # and at how many looks it was the same
        self._taken: dict[Path, _State] = {}
        self._unreadable: set[Path] = set()

    def __contains__(self, path: Path) -> bool:
        """Return True if a file was returned, and was there at the latest look."""
        return path in self._taken

    def look(self) -> list[tuple[Path, Path]]:
        """Return the complete files that are new or changed, each with the folder that it is in.

        A folder that cannot be listed now is reported once, and its files are remembered.
        """
        complete: list[tuple[Path, Path]] = []
        present: set[Path] = set()
        for folder in self._folders:
            try:
                files = files_in(folder, self._suffixes)
                self._unreadable.discard(folder)
            except UserError as error:
                if folder not in self._unreadable:
                    self._unreadable.add(folder)
                    _logger.warning(f"{error}; trying again")
                present.update(path for path in self._taken if folder in path.parents)
                continue
            for path in files:
                if path in present or self._skipped[folder] in path.parents:
                    continue
                present.add(path)
                if self._is_complete(path):
                    complete.append((path, folder))
        self._seen = {path: seen for path, seen in self._seen.items() if path in present}
        self._taken = {path: taken for path, taken in self._taken.items() if path in present}
        return complete

    def _is_complete(self, path: Path) -> bool:
        try:
            status = path.stat()
        except OSError:  # removed meanwhile
            return False
        state = status.st_size, status.st_mtime_ns, status.st_ino
        if self._taken.get(path) == state:
            return False
        before, looks = self._seen.get(path, (state, -1))
        looks = looks + 1 if before == state else 0
        if looks < _LOOKS or not status.st_size:
            self._seen[path] = state, looks
            return False
        self._seen.pop(path, None)
        self._taken[path] = state
        return True


def _inside(results: Path, folder: Path) -> Path | None:
    """Return the folder of results as a path below another folder; None if it does not lie there."""
    try:
        return folder / results.resolve().relative_to(folder.resolve())
    except ValueError:
        return None
