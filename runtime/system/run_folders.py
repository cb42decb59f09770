"""Name run folders by date and time, and link the newest as `latest`."""

from __future__ import annotations

import itertools
import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from ..errors import UserError
from .temporary import Temporary, lock

_logger = logging.getLogger(__name__)

LATEST = "latest"
_DATED = re.compile(r"\d{8}-\d{6}(-\d+)?")


class Claim:
    """A folder for a run, made or found, of which exactly what was made can be taken back.

    Empty folders with a time for a name, which killed processes left in `parent`, are removed.

    Args:
        folder: of the run; None: a new one in `parent`, named by the time, such as 20250131-235959. It is
            made at once, so that no other process takes the same name.

    Raises:
        UserError: it cannot be made.
    """

    def __init__(self, folder: Path | None, parent: Path) -> None:
        self._made: list[Path] = []
        self._lock: int | None = None
        try:
            self.folder = self._new_dated(parent) if folder is None else self._make(folder)
            self._before = set(self.folder.iterdir())
        except OSError as error:
            self.remove_folders()
            place = parent if folder is None else folder
            raise UserError(f"cannot write {place}: {error.strerror}; choose another folder") from error

    def unlock(self) -> None:
        """Leave the folder to be removed by others while it is empty; may be called again."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def take_back(self) -> None:
        """Remove what is new in the folder, and the folders that were made, unless others use them."""
        for entry in set(self.folder.iterdir()) - self._before:
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
        self.remove_folders()

    def remove_folders(self) -> None:
        """Remove the folders that were made, unless they contain something."""
        for folder in reversed(self._made):
            with suppress(OSError):  # not empty
                folder.rmdir()
        self.unlock()

    def _new_dated(self, parent: Path) -> Path:
        self._make(parent)
        alone = lock(parent, waits=True)  # so that nobody takes a folder for abandoned before it is locked
        try:
            if alone is not None:
                _remove_abandoned(parent)
            name = datetime.now().strftime("%Y%m%d-%H%M%S")
            for number in itertools.count(1):
                folder = parent / (name if number == 1 else f"{name}-{number}")
                with suppress(FileExistsError):
                    folder.mkdir()
                    self._lock = lock(folder)
                    self._made.append(folder)
                    return folder
            raise AssertionError
        finally:
            if alone is not None:
                os.close(alone)

    def _make(self, folder: Path) -> Path:
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        for one in reversed(missing):
            with suppress(FileExistsError):  # made by another process meanwhile
                one.mkdir()
                self._made.append(one)
        return folder


def _remove_abandoned(parent: Path) -> None:
    """Remove the empty folders of runs that were killed: no process has them locked."""
    for folder in parent.iterdir():
        if _DATED.fullmatch(folder.name) and not folder.is_symlink():
            with suppress(OSError):  # not empty, or locked
                if (descriptor := lock(folder)) is not None:
                    try:
                        folder.rmdir()
                    finally:
                        os.close(descriptor)


@contextmanager
def claimed_folder(parent: Path) -> Iterator[Path]:
    """Claim a new folder in `parent`, and take it back if the block fails."""
    claim = Claim(None, parent)
    try:
        yield claim.folder
    except BaseException:
        claim.take_back()
        raise
    claim.unlock()


def link_latest(folder: Path, parent: Path) -> None:
    """Point `parent`/latest to `folder`, atomically; a failure is logged as a warning."""
    link = parent / LATEST
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with Temporary(link, is_folder=True) as temporary:  # of a killed process it is removed
            new = temporary / LATEST
            new.symlink_to(os.path.relpath(folder, parent), target_is_directory=True)
            new.replace(link)
    except OSError as error:
        _logger.warning(f"{link} was not updated: {error.strerror or error}")
