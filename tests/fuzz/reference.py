"""Read a file with another program: TIFF with tifffile, the rest with Pillow."""

from __future__ import annotations

import io
import warnings

import numpy as np
import PIL.Image
import tifffile


def decode(data: bytes, form: str) -> np.ndarray | None:
    """Return the pixels with their alpha, (H, W, C) not turned upright; None if the file is not read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _by_tifffile(data) if form.startswith(("tiff", "bigtiff")) else _by_pillow(data)
        except Exception:  # neither library has a base class for its errors
            return None


def _by_tifffile(data: bytes) -> np.ndarray | None:
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        if tifffile.EXTRASAMPLE.ASSOCALPHA in file.pages.first.extrasamples:
            return None  # premultiplied, and left so
        pixels = file.pages.first.asarray()
        if pixels.ndim == 3 and file.pages.first.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
            pixels = np.moveaxis(pixels, 0, 2)
        if file.pages.first.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
            pixels = (1 if pixels.dtype.kind == "f" else np.iinfo(pixels.dtype).max) - pixels
    return pixels.reshape(*pixels.shape[:2], -1)


def _by_pillow(data: bytes) -> np.ndarray:
    with PIL.Image.open(io.BytesIO(data)) as image:
        mode = {"P": "RGBA" if "transparency" in image.info else "RGB", "1": "L"}.get(image.mode)
        pixels = np.asarray(image.convert(mode) if mode else image)
    return pixels.reshape(*pixels.shape[:2], -1)
