"""A folder whose files get their final place all together, or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..runtime.errors import UserError


@contextmanager
def staged_folder(final: Path) -> Iterator[Path]:
    """A temporary folder beside `final`, whose files move there when the block succeeds.

    On an error `final` stays as it was, and does not come into being. A file of the same name in it is
    replaced; its other files are left alone.

    Raises:
        UserError: the folder cannot be written.
    """
    if final.exists() and not final.is_dir():
        raise UserError(f"{final} is a file; name a folder for the export")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=final.parent, prefix=f".{final.name}-", suffix=".part"))
    except OSError as error:
        raise UserError(f"cannot write {final}: {error.strerror}; choose another folder") from error
    try:
        yield staging
        _publish(staging, final)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _publish(staging: Path, final: Path) -> None:
    try:
        if not final.exists():
            mask = os.umask(0)
            os.umask(mask)
            staging.chmod(0o777 & ~mask)  # a temporary folder is its owner's alone
            staging.rename(final)
            return
        for file in sorted(staging.iterdir()):
            file.replace(final / file.name)
    except OSError as error:
        raise UserError(f"cannot write {final}: {error.strerror}; choose another folder") from error
