"""One image or video to denoise, and where the result goes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """One image to denoise."""

    source: Path
    destination: Path
    reference: Path | None = None  # the clean image, to measure the result against
