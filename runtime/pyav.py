"""PyAV, FFmpeg's libraries, found when films are converted."""

from __future__ import annotations

from typing import Any

from .errors import MissingPackageError


def load_av() -> Any:
    """The av module.

    Raises:
        MissingPackageError: it is not installed, or does not load.
    """
    try:
        import av
    except ModuleNotFoundError as error:
        raise MissingPackageError("av", extra="video") from error
    except ImportError as error:
        raise MissingPackageError("av", extra="video", reason=str(error)) from error
    return av
