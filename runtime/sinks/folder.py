"""Write frames as numbered images in a folder."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..frame import Frame
from ..images.image import Image, write_image

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]


class FolderSink:
    """Writes the denoised frames as 000000.png, 000001.png, …, each whole or not at all.

    In a folder with such images the numbers continue after the highest, so that none is overwritten. One sink
    writes to a folder at a time, in any process.

    Raises:
        UserError: the folder cannot be written, or another sink writes to it.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._is_new = not self._folder.exists()
        self._claim = _claim(self._folder)
        numbers = [int(path.stem) for path in self._folder.glob("*.png") if path.stem.isdecimal()]
        self._next = max(numbers, default=-1) + 1

    def write(self, _frame: Frame, denoised: np.ndarray, /) -> bool:
        """Write one frame.

        Raises:
            UserError: the folder cannot be written, or the disk is full.
        """
        write_image(self._folder / f"{self._next:06}.png", Image(denoised))
        self._next += 1
        return True

    def close(self) -> None:
        """Let others write to the folder; every file is complete. A new folder without any is removed."""
        claim, self._claim = self._claim, None
        if self._is_new:
            with contextlib.suppress(OSError):  # it holds files
                self._folder.rmdir()
        if claim is not None:
            os.close(claim)


def _claim(folder: Path) -> int | None:
    """Make and lock a folder; return the descriptor that holds the lock, None without locks."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if fcntl is None:
            return None
        claim = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}; choose another folder") from error
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(claim)
        raise UserError(
            f"{folder} is being written by another n2b-infer; name another folder with -o for each camera"
        ) from error
    except OSError:  # a file system without locks
        os.close(claim)
        return None
    return claim
