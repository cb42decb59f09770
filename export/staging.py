"""Publish the files of a folder all together, or not at all."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..runtime.errors import UserError
from ..runtime.system.files import umask


@contextmanager
def staged_folder(final: Path) -> Iterator[Path]:
    """Provide a temporary folder next to `final`, whose entries move there if the block succeeds.

    On an error `final` stays unchanged, and neither it nor a folder above it is created. A file of the same
    name in it is replaced; its other entries are kept.

    Raises:
        UserError: the folder cannot be written.
    """
    if final.exists() and not final.is_dir():
        raise UserError(f"{final} is a file; name a folder for the export")
    created: list[Path] = []
    staging, lock = None, None
    try:
        with _os_errors(final):
            _create_parents(final, created)
            _clear_leftovers(final)
            staging = Path(tempfile.mkdtemp(dir=final.parent, prefix=f".{final.name}-", suffix=".part"))
            lock = _lock(staging)
        yield staging
        with _os_errors(final):
            _publish(staging, final)
    except BaseException as error:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
        _remove_empty(created)
        if staging is not None and isinstance(error, UserError):  # name the folder that the user knows
            raise type(error)(str(error).replace(str(staging), str(final))) from error
        raise
    finally:
        if lock is not None:
            os.close(lock)
    shutil.rmtree(staging, ignore_errors=True)


def _clear_leftovers(final: Path) -> None:
    """Remove the temporary folders of killed exports, to `final` or a dated folder: their locks are free."""
    ours = re.compile(rf"\.({re.escape(final.name)}|\d{{8}}-\d{{6}}(-\d+)?)-\w{{8}}\.part")
    for leftover in final.parent.glob(".*.part"):
        lock = _lock(leftover) if ours.fullmatch(leftover.name) and leftover.is_dir() else None
        if lock is not None:
            shutil.rmtree(leftover, ignore_errors=True)
            os.close(lock)


def _lock(folder: Path) -> int | None:
    """Lock a folder until its descriptor is closed or the process ends; None if another holds the lock.

    None, too, on systems without such locks.
    """
    try:
        import fcntl

        descriptor = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


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
        staging.chmod(0o777 & ~umask())  # a temporary folder is private to its owner
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
        shutil.copy2(file, kept)


def _put_back(moved: list[Path], staging: Path, earlier: Path) -> None:
    """Undo a publication: restore earlier files, and remove new ones."""
    for target in moved:
        kept = earlier / target.name
        if kept.exists():
            kept.replace(target)
        elif not (staging / target.name).exists():  # it was moved
            target.rename(staging / target.name)
