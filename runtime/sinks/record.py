"""Films of denoised frames: a camera's recording, and a film that was denoised."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..frame import Frame
from ..pyav import load_av
from .film_writer import FILM_FORMATS, FilmWriter


class RecordSink:
    """Records the denoised frames as a film, with the times at which they came.

    The film has its name once it is whole, at the end. Frames of another size begin another film: out-2.mp4,
    out-3.mp4, …

    Args:
        path: the film, .mp4, .mov, .m4v or .mkv.

    Raises:
        UserError: the name says another format, or the file is there.
        MissingPackageError: av is not installed.
    """

    def __init__(self, path: Path) -> None:
        load_av()
        if path.suffix.lower() not in FILM_FORMATS:
            raise UserError(f"--record takes a film's name that ends in {' '.join(FILM_FORMATS)}, not {path}")
        if path.exists():
            raise UserError(f"{path} is there already; move it, or name another with --record")
        self._path = path
        self._number = 0
        self._film: FilmWriter | None = None
        self._size_hw = 0, 0
        self._start_ns = 0

    def write(self, frame: Frame, denoised: np.ndarray, /) -> bool:
        """Add one frame.

        Raises:
            UserError: the folder cannot be written, or the disk is full; what was recorded of this film is
                lost.
        """
        if self._film is None or denoised.shape[:2] != self._size_hw:
            self._begin(frame, *denoised.shape[:2])
        assert self._film is not None
        try:
            self._film.write(denoised, frame.timestamp_ns - self._start_ns)
        except BaseException:
            film, self._film = self._film, None
            film.discard()
            raise
        return True

    def close(self) -> None:
        """Finish the film."""
        film, self._film = self._film, None
        if film is not None:
            film.finish()

    def _begin(self, frame: Frame, height: int, width: int) -> None:
        self.close()
        self._number += 1
        path = self._path
        if self._number > 1:
            path = path.with_stem(f"{path.stem}-{self._number}")
            print(f"frames are now {width}×{height} px: recording goes on in {path}", file=sys.stderr)
            if path.exists():
                raise UserError(f"{path} is there already; move it, or name another with --record")
        self._film = FilmWriter(path, height, width)
        self._size_hw = height, width
        self._start_ns = frame.timestamp_ns


class FilmSink:
    """Writes the denoised frames of a film as a film: all their times, and its other streams as they are.

    Close it in a `with` block that fails to leave nothing; `finish` when every frame is written.

    Args:
        path: the result.
        original: the film.
    """

    def __init__(self, path: Path, original: Path) -> None:
        load_av()
        self._path, self._original = path, original
        self._film: FilmWriter | None = None
        self._size_hw = 0, 0

    def write(self, frame: Frame, denoised: np.ndarray, /) -> bool:
        """Add one frame.

        Raises:
            UserError: the disk is full, or the film changes its size, which a result cannot.
        """
        height, width = size_hw = denoised.shape[:2]
        if self._film is None:
            self._film = FilmWriter(self._path, height, width, self._original)
            self._size_hw = size_hw
        if size_hw != self._size_hw:
            raise UserError(
                f"{self._original} changes its size at frame {frame.index}, to {width}×{height} px; "
                "cut it there"
            )
        self._film.write(denoised, frame.timestamp_ns)
        return True

    def finish(self) -> None:
        """Give the film its name.

        Raises:
            UserError: the disk is full.
        """
        film, self._film = self._film, None
        if film is not None:
            film.finish()

    def close(self) -> None:
        """Leave nothing of a film that is not finished."""
        film, self._film = self._film, None
        if film is not None:
            film.discard()
