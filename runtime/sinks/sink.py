"""Define the protocol of a sink, which takes a stream's frames."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from ..frame import Frame


class Sink(Protocol):
    """Takes frames, noisy and denoised; written and closed by one thread."""

    def write(self, frame: Frame, denoised: np.ndarray, /) -> bool:
        """Take one frame and its result, of the same shape and dtype; return False to end the stream."""
        ...

    def close(self) -> None:
        """Free the sink's resources."""
        ...


@runtime_checkable
class InteractiveSink(Sink, Protocol):
    """A sink with user input, which is polled between frames too."""

    def poll(self) -> bool:
        """Handle the user's input; return False to end the stream."""
        ...
