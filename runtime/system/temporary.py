"""Temporary files and folders next to what they become, and removal of what killed processes left of them.

Each is locked while it is written; so those whose lock is free belong to nobody.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import socket
import time
from pathlib import Path

_MAX_SUFFIX_BYTES = 16
_DAY_S = 86400.0
_HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
_NAME = re.compile(r"\.n2b-(?P<host>[0-9a-f]{8})-[0-9a-f]{16}\.part(\..*)?", re.DOTALL)
_cleared: set[str] = set()  # folders


class Temporary:
    """A new hidden file or folder next to `final`, locked until `close`; as a context, its path.

    It gets the permissions of any new one. Its name is short, whatever that of `final` (a name may have 255
    bytes), and has its suffix, by which writers choose a format. What killed processes left in the folder is
    removed first.

    Args:
        is_kept: True if what a killed process leaves of it is of use, and no other process removes it.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, final: Path, *, is_folder: bool = False, is_kept: bool = False) -> None:
        _remove_abandoned_once(final.parent)
        suffix = final.suffix if len(os.fsencode(final.suffix)) <= _MAX_SUFFIX_BYTES else ""
        kind = "recording" if is_kept else f"n2b-{_HOST}"
        while True:
            self.path = final.parent / f".{kind}-{secrets.token_hex(8)}.part{suffix}"
            if is_folder:
                self.path.mkdir()
            else:
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666))
            with contextlib.suppress(BlockingIOError):
                self._lock = lock(self.path)
                if os.path.lexists(self.path):
                    return
                self.close()
            # another process took it for abandoned before it was locked, and removes it

    def close(self) -> None:
        """Remove it if it is still there, and unlock it; may be called again."""
        _remove(self.path)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.close()


def remove_abandoned(folder: Path) -> None:
    """Remove what killed processes left in a folder, if it exists."""
    with contextlib.suppress(OSError):
        for path in folder.glob(".n2b-*.part*"):
            match = _NAME.fullmatch(path.name)
            if match is None or not (match["host"] == _HOST or _is_old(path)):
                continue
            with contextlib.suppress(BlockingIOError):
                held = lock(path)
                if held is not None:
                    _remove(path)
                    os.close(held)


def _remove_abandoned_once(folder: Path) -> None:
    """Do so once a process: a run writes thousands of files."""
    key = os.path.abspath(folder)  # noqa: PTH100
    if key not in _cleared:
        _cleared.add(key)
        remove_abandoned(folder)


def _is_old(path: Path) -> bool:
    """Return True if nobody wrote for a day; file systems of a network may not know other machines' locks."""
    return time.time() - path.lstat().st_mtime > _DAY_S


def lock(path: Path, *, waits: bool = False) -> int | None:
    """Lock a file or folder until its descriptor is closed or the process ends.

    Args:
        waits: wait for another that holds the lock.

    Returns:
        The descriptor; None on systems without such locks.

    Raises:
        BlockingIOError: another holds the lock.
    """
    try:
        import fcntl

        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise
        return None
    return descriptor


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
