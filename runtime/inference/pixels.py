"""Check images, and convert pixels between an image's dtype and channels and the model's."""

from __future__ import annotations

import numpy as np

from ..errors import ImageError, UserError
from ..images.convert import from_float, to_float
from ..images.scale import check_range
from ..system.opencv import load_opencv


def check_image(
    image: np.ndarray, io: str, *, allow_8bit: bool = False, export_command: str = "n2b-export --io float32"
) -> None:
    """Raise ImageError unless a model can denoise an image without loss of depth.

    Args:
        io: the dtype of the model's input and output, "uint8" or "float32".
        allow_8bit: accept deeper images for a uint8 model, which reduces them to 8 bits.
    """
    if not isinstance(image, np.ndarray):
        raise ImageError(f"an image is a numpy array, not {type(image).__name__}")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        raise ImageError(f"an array of shape {image.shape} is not an image; give (H, W) or (H, W, 1 | 3 | 4)")
    if image.size == 0:
        raise ImageError(f"an image of shape {image.shape} has no pixels")
    if image.dtype not in (np.uint8, np.uint16, np.float32):
        raise ImageError(f"an image of {image.dtype} cannot be denoised; give uint8, uint16 or float32")
    if is_deeper(image, io) and not allow_8bit:
        raise ImageError(
            f"this model takes 8-bit images and this one is {image.dtype}; make a model for it with "
            f"{export_command}, or reduce it to 256 levels with --allow-8bit (allow_8bit=True)"
        )
    check_range(image)


def is_deeper(image: np.ndarray, io: str) -> bool:
    """Return True if an image has more levels than a model of this io takes."""
    return io == "uint8" and image.dtype != np.uint8


def check_out(out: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Return `out`; raise UserError unless it fits the image."""
    if not isinstance(out, np.ndarray):
        raise UserError(f"out is a numpy array, not {type(out).__name__}")
    if not out.flags.writeable:
        raise UserError("out is read-only; give an array that can be written")
    if (out.shape, out.dtype) != (image.shape, image.dtype):
        raise UserError(
            f"out has the image's shape and dtype, {image.shape} {image.dtype}, not {out.shape} {out.dtype}"
        )
    if np.may_share_memory(out, image):
        raise UserError("out overlaps the image, whose pixels are still needed; give another array")
    return out


def to_model(pixels: np.ndarray, tile: np.ndarray) -> None:
    """Write pixels of an image into a tile in the model's dtype; grey becomes three equal channels.

    Args:
        pixels: (H, W, C), C = 1 or 3, uint8, uint16, or float32 in [0, 1].
        tile: output, (H, W, 3) of the model's dtype.
    """
    tile[...] = pixels if tile.dtype == pixels.dtype else from_float(to_float(pixels), tile.dtype)


def from_model(result: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Return a model's result as pixels of an image; grey is the mean of the three channels.

    An 8-bit result has 256 levels in a deeper image too: the levels between them are not restored from the
    noisy image, where they are noise.

    Args:
        result: (H, W, 3), uint8, or float32 in [0, 1].
        like: (H, W, C) pixels with the dtype and number of channels to return.
    """
    if like.shape[2] == 1 and result.dtype == np.uint8:
        result = ((result.sum(axis=2, keepdims=True, dtype=np.uint16) + 1) // 3).astype(np.uint8)
    elif like.shape[2] == 1:
        result = result.mean(axis=2, keepdims=True)
    return result if result.dtype == like.dtype else from_float(to_float(result), like.dtype)


def swap_into(pixels: np.ndarray, target: np.ndarray) -> None:
    """Copy pixels and swap their first and third channel: RGB to BGR, or back.

    One pass of OpenCV costs little more than a plain copy; numpy takes many times as long.

    Args:
        pixels: (H, W, 3), uint8, uint16 or float32.
        target: output of the same shape and dtype; may be a view.
    """
    row_bytes, pixel_bytes, _ = target.strides
    if pixel_bytes == 3 * target.itemsize and row_bytes > 0 and target.flags.writeable:
        cv2 = load_opencv()
        cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=target)
    else:  # pixels are not adjacent, as in RGB of RGBA, or rows are reversed
        target[...] = pixels[:, :, ::-1]


def blend(noisy: np.ndarray, denoised: np.ndarray, strength: float) -> np.ndarray:
    """Return noisy + strength · (denoised − noisy), rounded to the nearest level of an integer dtype."""
    mixed = noisy + np.float32(strength) * (denoised.astype(np.float32) - noisy)
    return (np.rint(mixed) if noisy.dtype.kind == "u" else mixed).astype(noisy.dtype)
