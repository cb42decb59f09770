"""The noise of a camera, taken from the flat areas of its noisy images.

In a flat area n_b = x − blur(x) holds no detail: it is the noise, with its true correlation over pixels
and channels. Its strength depends on the brightness; flat areas of many brightnesses give the camera's
noise level function.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...runtime.system.opencv import load_opencv

MAX_WINDOW_PX = 64  # of a window: larger ones are seldom flat
BLUR_PX = 12.0  # σ of the Gaussian whose rest is the noise: keeps noise that is correlated over many pixels
MAX_PATCHES = 8192
KNOT_SPACING = 16  # grey levels between the knots of the noise level function: 0, 16, … 256
KNOTS = 256 // KNOT_SPACING + 1
MIN_NOISE_LEVEL = 0.3  # grey levels; less noise than rounding to 8 bits makes is not believed …
MIN_DEEP_NOISE_LEVEL = MIN_NOISE_LEVEL / 256  # … nor less than that to 16 bits
MAX_GAIN = 3.0
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601

# Criteria of a flat window, relative to the flattest others of its brightness in its image. The bounds were
# chosen on the PolyU photographs, by the agreement of the selected with that against the mean of many shots.
_MAX_RMS, _MAX_STRUCTURE = 1.35, 1.6  # times the 10th percentile of windows as bright
_MAX_RATIO = 1.8  # structure to RMS, times the 20th percentile of those kept
_MAX_UNEVENNESS = 0.28  # spread of the RMS of 8×8 blocks, as a part of its mean
_MAX_COARSENESS = 0.35  # part of the RMS that lies between σ 3 and σ 12 px
_MAX_REPETITION = 0.11  # autocorrelation 5 px away and further
_MIN_WINDOWS = 4  # of one brightness, for a knot of the noise level function
# Of those that pass all that: how much coarser than this quantile of them chance makes a window, as a part
# of it, is the second divided by the window's side.
_PUREST, _SPREAD_PX = 0.1, 2.6


@dataclass(frozen=True)
class FlatNoise:
    """Patches of noise, and the noise level of their images at each brightness.

    Attributes:
        patches: float16 (P, 3, S, S), zero mean, on the scale of images in [0, 1].
        brightness: float32 (P,), of the place they come from, 0..255.
        image: int64 (P,), the image they come from, ascending.
        level: float32 (images, KNOTS), σ of the noise in grey levels at brightness 0, 16, … 256.
        least: noise level that rounding makes, grey levels.
    """

    patches: Tensor
    brightness: Tensor
    image: Tensor
    level: Tensor
    least: float = MIN_NOISE_LEVEL

    def __len__(self) -> int:
        return len(self.patches)

    @property
    def size_px(self) -> int:
        """Return the side of a patch."""
        return self.patches.shape[-1]

    @cached_property
    def _image_on_host(self) -> np.ndarray:
        return self.image.numpy(force=True)

    def draw(self, rng: np.random.Generator, count: int, cells: int) -> np.ndarray:
        """Draw indices of patches, (count, cells): any in the first column, then others of the same image."""
        image = self._image_on_host
        chosen = rng.integers(len(image), size=(count, cells))
        first, last = (np.searchsorted(image, image[chosen[:, :1]], side) for side in ("left", "right"))
        chosen[:, 1:] = first + (rng.random((count, cells - 1)) * (last - first)).astype(int)
        return chosen

    def at(self, index: Tensor, flipped: Tensor, clean: Tensor) -> Tensor:
        """Return patches scaled to the noise level of their image at the brightness of clean crops.

        Args:
            index: int64 (N,), of patches.
            flipped: bool (N, 2), upside down and left to right: more patches of the same statistics.
            clean: float32 N×3×S×S in [0, 1].

        Returns:
            float32 N×3×S×S.
        """
        luma = torch.tensor(LUMA, device=clean.device)[:, None, None]
        brightness = 255 * (clean * luma).sum(1, keepdim=True).clamp(0, 1)
        brightness = F.avg_pool2d(F.pad(brightness, (2, 2, 2, 2), mode="replicate"), 5, 1)
        level = self.level[self.image[index]]
        own = _interpolate(level, self.brightness[index][:, None])[:, :, None, None]
        gain = _interpolate(level, brightness.flatten(1)).view_as(brightness) / own.clamp_min(self.least)
        patches = self.patches[index].float()
        for axis in (0, 1):
            patches = torch.where(flipped[:, axis, None, None, None], patches.flip(2 + axis), patches)
        return patches * gain.clamp(0, MAX_GAIN)


def _interpolate(level: Tensor, brightness: Tensor) -> Tensor:
    """Interpolate values at brightnesses (N, M) between the knots (N, KNOTS)."""
    position = (brightness / KNOT_SPACING).clamp(0, KNOTS - 1 - 1e-4)
    knot = position.long()
    low, high = level.gather(1, knot), level.gather(1, knot + 1)
    return low + (high - low) * (position - knot)


def find_flat_noise(
    images: Iterable[np.ndarray],
    patch_px: int,
    *,
    seed: int,
    one_source: bool = False,
    max_patches: int = MAX_PATCHES,
    device: torch.device | str = "cpu",
) -> FlatNoise:
    """Find the noise in the flat areas of noisy images: patches chosen at random.

    Args:
        images: uint8 (H, W, 3), or float32 in grey levels of 0..255 for deeper images, H, W ≥ the patch;
            taken one at a time.
        patch_px: side of a patch, at most 64.
        seed: of the choice.
        one_source: the noise of all images has one spectrum, however strong it is: then the purest windows
            of all, not of each image, tell by their coarseness which others hold texture or slow shades.
            Noise of several cameras has several.
        max_patches: how many to keep.

    Returns:
        The noise found; it may be empty.
    """
    rng = np.random.default_rng([seed, 5])
    patches: list[np.ndarray] = []
    kept: list[int] = []  # the window of each patch
    found: list[np.ndarray] = []  # of each image: (n, 4) windows, as `_Windows.describe` gives them
    quietest: list[float] = []
    seen = 0
    least = MIN_NOISE_LEVEL
    for number, image in enumerate(images):
        least = MIN_NOISE_LEVEL if image.dtype == np.uint8 else MIN_DEEP_NOISE_LEVEL
        windows = _Windows(image, patch_px, least)
        flat = np.argwhere(windows.find_flat())
        found.append(windows.describe(flat, number))
        quietest.append(float(np.quantile(windows.rms, 0.1)))
        for row, column in flat:
            # each of those seen so far is as likely to be among the kept (reservoir sampling)
            slot = len(patches) if len(patches) < max_patches else int(rng.integers(seen + 1))
            if slot < max_patches:
                patches[slot : slot + 1] = [windows.noise_at(row, column)]
                kept[slot : slot + 1] = [seen]
            seen += 1
    of_windows = np.concatenate(found) if found else np.empty((0, 4))
    image, brightness, rms, coarseness = of_windows.T
    is_pure = _are_pure(coarseness, np.zeros(seen) if one_source else image, patch_px)
    pure_of = [is_pure & (image == number) for number in range(len(found))]
    levels = [
        _level_function(brightness[mine], rms[mine], quiet)
        for mine, quiet in zip(pure_of, quietest, strict=True)
    ]
    pure = sorted((slot for slot, window in enumerate(kept) if is_pure[window]), key=lambda slot: kept[slot])
    windows_of = np.array(kept, int)[pure]
    stacked = np.stack(patches)[pure] if pure else np.empty((0, 3, patch_px, patch_px), np.float16)
    return FlatNoise(
        patches=torch.from_numpy(stacked).to(device),
        brightness=torch.from_numpy(brightness[windows_of].astype(np.float32)).to(device),
        image=torch.from_numpy(image[windows_of].astype(np.int64)).to(device),
        level=torch.from_numpy(np.array(levels, np.float32).reshape(len(levels), KNOTS)).to(device),
        least=least,
    )


def _are_pure(coarseness: np.ndarray, source: np.ndarray, size_px: int) -> np.ndarray:
    """Return a mask (n,) of the windows about as fine as the purest of their source."""
    most = np.zeros(len(source))
    for number in np.unique(source):
        mine = source == number
        most[mine] = (1 + _SPREAD_PX / size_px) * np.quantile(coarseness[mine], _PUREST)
    return coarseness <= most


def _level_function(brightness: np.ndarray, rms: np.ndarray, quietest: float) -> np.ndarray:
    """Return σ of the noise at the knots, between the brightnesses at which there are flat windows.

    Args:
        brightness, rms: (n,), of an image's flat windows.
        quietest: the RMS of the image's quietest windows, which with no flat ones must do.
    """
    at, sigma = [], []
    bins = _bins(brightness)
    for value in np.unique(bins):
        alike = bins == value
        if alike.sum() >= _MIN_WINDOWS or len(rms) < 2 * _MIN_WINDOWS:
            at.append(np.median(brightness[alike]))
            sigma.append(np.median(rms[alike]))
    knots = np.arange(KNOTS) * KNOT_SPACING
    return np.interp(knots, at, sigma) if at else np.full(KNOTS, quietest)


def _bins(brightness: np.ndarray) -> np.ndarray:
    return np.minimum(brightness // KNOT_SPACING, KNOTS - 2).astype(int)


class _Windows:
    """An image in windows that overlap by half, and what is measured in each; arrays (rows, columns)."""

    def __init__(self, image: np.ndarray, size_px: int, least: float) -> None:
        cv2 = load_opencv()
        self._cv2 = cv2
        self._size, self._step = size_px, max(1, size_px // 2)
        self._least, self._tiny = least, 0.1 * (least / MIN_NOISE_LEVEL)
        pixels = image.astype(np.float32)
        self._noise = pixels - cv2.GaussianBlur(pixels, (0, 0), BLUR_PX)
        self._luma = pixels @ np.array(LUMA, np.float32)
        self._band = cv2.GaussianBlur(self._luma, (0, 0), 3) - cv2.GaussianBlur(self._luma, (0, 0), 12)
        self._fine = self._luma - cv2.GaussianBlur(self._luma, (0, 0), BLUR_PX)
        self._detail = self._luma - cv2.GaussianBlur(self._luma, (0, 0), 4)
        self.brightness = self._mean(self._luma)
        self.rms = self._root_mean((self._noise**2).mean(axis=2))

    def noise_at(self, row: int, column: int) -> np.ndarray:
        """Return the noise of a window: float16 (3, S, S), zero mean, on the scale of images in [0, 1]."""
        patch = self._noise[self._place(row, column)]
        return ((patch - patch.mean(axis=(0, 1))) / 255).transpose(2, 0, 1).astype(np.float16)

    def find_flat(self) -> np.ndarray:
        """Return a bool mask of the windows that contain only noise."""
        structure = np.sqrt(np.maximum(self._largest(self._cv2.blur(self._band**2, (16, 16))), 0))
        flat = np.zeros(self.brightness.shape, bool)
        bins = _bins(self.brightness)
        for value in np.unique(bins):
            alike = bins == value
            is_quiet = self.rms <= _MAX_RMS * np.quantile(self.rms[alike], 0.1)
            flat |= alike & is_quiet & (structure <= _MAX_STRUCTURE * np.quantile(structure[alike], 0.1))
        if not flat.any():
            return flat
        ratio = structure / np.maximum(self.rms, self._least)
        flat &= ratio <= _MAX_RATIO * np.quantile(ratio[flat], 0.2)
        flat &= self._unevenness() <= _MAX_UNEVENNESS
        flat &= self._root_mean(self._band**2) <= _MAX_COARSENESS * self._fine_rms()
        for row, column in np.argwhere(flat):
            flat[row, column] = self._repetition(row, column) <= _MAX_REPETITION
        return flat

    def describe(self, flat: np.ndarray, number: int) -> np.ndarray:
        """Return image index, brightness, RMS and coarseness of each flat window, (n, 4).

        Args:
            flat: (n, 2) rows and columns.
        """
        rows, columns = flat.T
        measured = [values[rows, columns] for values in (self.brightness, self.rms, self._coarseness())]
        return np.stack([np.full(len(flat), number), *measured], axis=1)

    def _coarseness(self) -> np.ndarray:
        """Return the RMS of the brightness over that of its Laplacian: 1 for white noise, else more."""
        laplacian = self._cv2.Laplacian(self._luma, self._cv2.CV_32F) / np.sqrt(
            20
        )  # of unit gain for white noise
        return self._fine_rms() / np.maximum(self._root_mean(laplacian**2), self._tiny)

    def _fine_rms(self) -> np.ndarray:
        return np.maximum(self._root_mean(self._fine**2), self._tiny)

    def _unevenness(self) -> np.ndarray:
        blocks = np.sqrt(np.maximum(self._cv2.blur(self._fine**2, (8, 8), anchor=(0, 0)), 0))
        mean = self._mean(blocks)
        return np.sqrt(np.maximum(self._mean(blocks**2) - mean**2, 0)) / np.maximum(mean, self._tiny)

    def _repetition(self, row: int, column: int) -> float:
        """Return the largest autocorrelation at shifts of 5 px and more."""
        patch = self._detail[self._place(row, column)]
        power = np.abs(np.fft.rfft2(patch)) ** 2
        correlation = np.fft.irfft2(power, patch.shape)
        shift = np.minimum(np.arange(self._size), self._size - np.arange(self._size))
        is_far = np.hypot(*np.meshgrid(shift, shift)) >= 5
        return float(correlation[is_far].max() / max(correlation[0, 0], 1e-9))

    def _place(self, row: int, column: int) -> tuple[slice, slice]:
        top, left = row * self._step, column * self._step
        return slice(top, top + self._size), slice(left, left + self._size)

    def _root_mean(self, squares: np.ndarray) -> np.ndarray:
        """Return the root of the mean of squares, which by rounding may be below 0 where they are."""
        return np.sqrt(np.maximum(self._mean(squares), 0))

    def _mean(self, values: np.ndarray) -> np.ndarray:
        return self._pick(self._cv2.blur(values, (self._size, self._size), anchor=(0, 0)))

    def _largest(self, values: np.ndarray) -> np.ndarray:
        window = np.ones((self._size, self._size), np.uint8)
        return self._pick(self._cv2.dilate(values, window, anchor=(0, 0)))

    def _pick(self, values: np.ndarray) -> np.ndarray:
        height, width = values.shape
        return values[: height - self._size + 1 : self._step, : width - self._size + 1 : self._step]
