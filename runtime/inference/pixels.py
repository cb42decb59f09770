"""Pixel values of a tile between the image's form and the model's."""

from __future__ import annotations

import numpy as np

from ..errors import ImageError, UserError
from ..images.convert import from_float, to_float
from ..system.opencv import load_opencv

_LARGEST_FLOAT = 10  # noise reaches beyond 1; this far beyond, the image is on another scale


def check_image(
    image: np.ndarray, io: str, *, allow_8bit: bool = False, export_command: str = "n2b-export --io float32"
) -> None:
    """Raise ImageError unless an array is an image that passes through a model without loss.

    Args:
        image: what is to be denoised.
        io: the dtype of the model's input and output, "uint8" or "float32".
        allow_8bit: take deeper images with a uint8 model too, which then lose depth.
        export_command: what makes a model that takes deeper images.
    """
    if not isinstance(image, np.ndarray):
        raise ImageError(f"an image is a numpy array, not {type(image).__name__}")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        raise ImageError(f"an array of shape {image.shape} is no image: (H, W) or (H, W, 1 | 3 | 4) is one")
    if image.size == 0:
        raise ImageError(f"an image of shape {image.shape} has no pixels")
    if image.dtype not in (np.uint8, np.uint16, np.float32):
        raise ImageError(f"an image of {image.dtype} values; uint8, uint16 and float32 can be denoised")
    if is_deeper(image, io) and not allow_8bit:
        raise ImageError(
            f"this model takes 8-bit images and this one is {image.dtype}; a model for it comes from "
            f"{export_command}; or --allow-8bit (allow_8bit=True) leaves 256 levels of it"
        )
    if image.dtype == np.float32:
        _check_range(image)


def is_deeper(image: np.ndarray, io: str) -> bool:
    """Whether an image has more levels than a model of this io takes."""
    return io == "uint8" and image.dtype != np.uint8


def _check_range(image: np.ndarray) -> None:
    lowest, highest = image.min(), image.max()
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        raise ImageError("the image has values that are not finite; replace them first")
    if highest > _LARGEST_FLOAT:
        raise ImageError(f"a float32 image is in [0, 1] and this one reaches {highest:g}; scale it first")


def check_out(out: np.ndarray, image: np.ndarray) -> np.ndarray:
    """The array that a result is to be put into; UserError unless it fits the image."""
    if (out.shape, out.dtype) != (image.shape, image.dtype):
        raise UserError(
            f"out has the image's shape and dtype, {image.shape} {image.dtype}, not {out.shape} {out.dtype}"
        )
    if np.may_share_memory(out, image):
        raise UserError("out overlaps the image, whose pixels are still needed; give another array")
    return out


def to_model(pixels: np.ndarray, tile: np.ndarray) -> None:
    """Fill a tile with pixels of an image: grey as three equal channels, in the model's depth.

    Args:
        pixels: (H, W, C), C = 1 or 3, uint8, uint16, or float32 in [0, 1].
        tile: (H, W, 3) of the model's dtype, written.
    """
    tile[...] = pixels if tile.dtype == pixels.dtype else from_float(to_float(pixels), tile.dtype)


def from_model(result: np.ndarray, like: np.ndarray) -> np.ndarray:
    """A model's result as pixels of an image; grey is the mean of the three channels.

    8-bit results stay 256 levels in a deeper image. The levels between them that the image had are not put
    back: where there is noise they are noise.

    Args:
        result: (H, W, 3), uint8, or float32 in [0, 1].
        like: (H, W, C) pixels whose dtype and channels the answer takes.
    """
    if like.shape[2] == 1 and result.dtype == np.uint8:
        result = ((result.sum(axis=2, keepdims=True, dtype=np.uint16) + 1) // 3).astype(np.uint8)
    elif like.shape[2] == 1:
        result = result.mean(axis=2, keepdims=True)
    return result if result.dtype == like.dtype else from_float(to_float(result), like.dtype)


def swap_into(pixels: np.ndarray, target: np.ndarray) -> None:
    """Copy pixels with their first and third channel exchanged: RGB to BGR, or back.

    In one pass of OpenCV, at hardly more than a plain copy's cost; numpy takes many times as long.

    Args:
        pixels: (H, W, 3), uint8, uint16 or float32.
        target: of the same shape and dtype, written; may be a view.
    """
    row_bytes, pixel_bytes, _ = target.strides
    if pixel_bytes == 3 * target.itemsize and row_bytes > 0 and target.flags.writeable:
        cv2 = load_opencv()
        cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=target)
    else:  # with an alpha channel between the pixels, or reversed
        target[...] = pixels[:, :, ::-1]


def blend(noisy: np.ndarray, denoised: np.ndarray, strength: float) -> np.ndarray:
    """noisy + strength · (denoised − noisy), rounded to the nearest level of an integer dtype."""
    mixed = noisy + np.float32(strength) * (denoised.astype(np.float32) - noisy)
    return (np.rint(mixed) if noisy.dtype.kind == "u" else mixed).astype(noisy.dtype)
