"""Find out the bit depth of an image file without decoding it."""

from __future__ import annotations

from pathlib import Path

from .large_tiff import tiff_layout
from .tiff import reader as tiff

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_DEPTH = 24  # offset of the bits of a sample


def is_deep(path: Path) -> bool:
    """Return True if the file has more than 8 bits a sample; False also if it cannot be read.

    Only PNG and TIFF do.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(_PNG_DEPTH + 1)
    except OSError:
        return False
    if head.startswith(_PNG):
        return head[_PNG_DEPTH:] == b"\x10"
    layout = tiff_layout(path) if head[:4] in tiff.MAGICS else None
    return layout is not None and layout.dtype != "uint8"
