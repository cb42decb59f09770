"""Sink: what takes a stream's frames."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from ..frame import Frame


class Sink(Protocol):
    """What takes frames, as they came and denoised; written and closed by one thread."""

    def write(self, frame: Frame, denoised: np.ndarray, /) -> bool:
        """Take one frame and its result, of the same shape and dtype; False when no more are wanted."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


@runtime_checkable
class InteractiveSink(Sink, Protocol):
    """A sink that a user acts on, also while no frame comes."""

    def poll(self) -> bool:
        """Do what the user has asked for; False when no more frames are wanted."""
        ...
