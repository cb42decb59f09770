"""Publish the files of a folder all together, or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..runtime.errors import UserError
from ..runtime.system.temporary import Temporary


@contextmanager
def staged_folder(final: Path) -> Iterator[Path]:
    """Provide a temporary folder next to `final`, whose entries move there if the block succeeds.

    On an error `final` stays unchanged, and neither it nor a folder above it is created. A file of the same
    name in it is replaced; its other entries are kept. What killed exports left next to it is removed.

    Raises:
        UserError: the folder cannot be written.
    """
    with _os_errors(final):
        if final.exists() and not final.is_dir():
            raise UserError(f"{final} is a file; name a folder for the export")
    created: list[Path] = []
    staging = None
    try:
        with _os_errors(final):
            _create_parents(final, created)
            staging = Temporary(final, is_folder=True)
        yield staging.path
        with _os_errors(final):
            _publish(staging.path, final)
    except BaseException as error:
        if staging is not None:
            staging.close()
        _remove_empty(created)
        if staging is not None and isinstance(error, UserError):  # name the folder that the user knows
            raise type(error)(str(error).replace(str(staging.path), str(final))) from error
        raise
    staging.close()


@contextmanager
def _os_errors(final: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {final}: {error.strerror}; choose another folder") from error


def _create_parents(final: Path, created: list[Path]) -> None:
    """Create the folders above `final`, and append each to `created`, from the top."""
    missing = [folder for folder in final.parents if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        created.append(folder)


def _remove_empty(folders: list[Path]) -> None:
    for folder in reversed(folders):
        try:
            folder.rmdir()
        except OSError:  # in use by another process
            return


def _publish(staging: Path, final: Path) -> None:
    if not final.exists():
        staging.rename(final)
        return
    earlier = Path(tempfile.mkdtemp(dir=staging))
    moved: list[Path] = []
    try:
        for entry in sorted(staging.iterdir()):
            if entry == earlier:
                continue
            target = final / entry.name
            if target.is_file():
                _keep(target, earlier / entry.name)
            moved.append(target)
            entry.replace(target)
    except BaseException:
        _put_back(moved, staging, earlier)
        raise


def _keep(file: Path, kept: Path) -> None:
    try:
        kept.hardlink_to(file)  # `file` is never missing
    except OSError:  # a file system without links
        shutil.copyfile(file, kept)
        with suppress(OSError):  # one that refuses chmod too
            shutil.copystat(file, kept)


def _put_back(moved: list[Path], staging: Path, earlier: Path) -> None:
    """Undo a publication: restore earlier files, and remove new ones."""
    for target in moved:
        kept = earlier / target.name
        if kept.exists():
            kept.replace(target)
        elif not (staging / target.name).exists():  # it was moved
            target.rename(staging / target.name)
