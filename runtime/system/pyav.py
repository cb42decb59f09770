"""Load PyAV, which contains FFmpeg's libraries."""

from __future__ import annotations

from typing import Any

from .packages import require


def load_av() -> Any:
    """Return the av module.

    Raises:
        MissingPackageError: it is not installed or cannot be loaded.
    """
    return require("av", extra="video")
