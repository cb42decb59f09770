"""What may be changed while frames run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Controls:
    """Read before each frame; any thread may write.

    Attributes:
        strength: 0 leaves the image, 1 denoises fully, between is a mixture.
    """

    strength: float = 1.0
