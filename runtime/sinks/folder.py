"""Write frames as numbered images in a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..frame import Frame
from ..images.image import Image, write_image


class FolderSink:
    """Writes the denoised frames as 000000.png, 000001.png, …, each whole or not at all.

    In a folder with such images the numbers continue after the highest, so that none is overwritten.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
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
        """Do nothing: every file is complete."""
