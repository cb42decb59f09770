"""Develop raw files of cameras by LibRaw: demosaiced, with the camera's white balance, in sRGB of 16 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..system.opencv import record_messages
from ..system.packages import is_installed, require
from .codecs.header import FormatError

RAW_SUFFIXES = (".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw")
DEVELOPED_SUFFIX = ".tif"  # of a result, if no other is asked for
_SRGB_GAMMA = 2.4, 12.92


def is_raw(path: str | Path) -> bool:
    """Return True if a name is that of a raw file."""
    return Path(path).suffix.lower() in RAW_SUFFIXES


def raw_suffixes() -> tuple[str, ...]:
    """Return the suffixes of the raw files that folders and globs are searched for: none without rawpy."""
    return RAW_SUFFIXES if is_installed("rawpy") else ()


def develop(path: str | Path) -> tuple[np.ndarray, list[str]]:
    """Return the developed image, upright, and what was wrong with the file, a clause each.

    Brightness is as taken: nothing is stretched, and black and white are those of the camera.

    Returns:
        (H, W, 3) uint16 RGB in sRGB.

    Raises:
        FormatError: it is damaged, or of a kind that LibRaw cannot develop.
        OSError: it cannot be opened.
        MissingPackageError: rawpy is not installed.
    """
    rawpy = require("rawpy", extra="raw")
    with open(path, "rb"):  # for the system's reason, which LibRaw does not give
        pass
    try:
        with record_messages(), rawpy.imread(str(path)) as raw:
            has_balance = raw.camera_whitebalance[0] > 0
            pixels = raw.postprocess(
                use_camera_wb=True,
                no_auto_bright=True,
                output_bps=16,
                output_color=rawpy.ColorSpace.sRGB,
                gamma=_SRGB_GAMMA,
            )
    except (
        rawpy.LibRawFileUnsupportedError,
        rawpy.LibRawNotImplementedError,
        rawpy.NotSupportedError,
    ) as error:
        raise FormatError(
            "is a raw file that LibRaw cannot develop (some compressions are not supported); convert it with "
            "Adobe DNG Converter to a DNG without lossy compression, or develop it to TIFF"
        ) from error
    except rawpy.LibRawUnsufficientMemoryError as error:
        raise MemoryError from error
    except rawpy.LibRawError as error:
        reason = error.args[0] if error.args else error
        reason = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise FormatError(f"is damaged: LibRaw reports '{reason}'") from error
    return pixels, [] if has_balance else ["it has no white balance of the camera; that of daylight is used"]
