"""Write files whole or not at all, and hash them."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import UserError


def sha256_of_file(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hex digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder, which is renamed to `path` if the block succeeds.

    The temporary file has the final suffix, by which writers choose a format. On an error `path` is not
    created or changed, and the temporary file is removed.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    final = Path(path)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=final.parent, prefix=f".{final.stem}-", suffix=f".part{final.suffix}"
        )
    except OSError as error:
        raise UserError(f"cannot write {final}: {error.strerror}; choose another folder") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _synchronise(temporary)
        temporary.chmod(0o666 & ~umask())
        temporary.replace(final)
    except OSError as error:
        raise UserError(
            f"cannot write {final}: {error.strerror or error}; free space or choose another folder"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: str | Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def _synchronise(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def umask() -> int:
    """Return the permissions that new files do not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
