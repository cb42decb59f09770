"""No-reference quality of a denoised image: remaining noise, lost detail, colour shift.

Everything is measured in square blocks that do not overlap:

- Noise: in 16 px blocks that are flat in the *noisy* image, the RMS of what is left once a plane is taken
  away. So it is right for correlated noise too, up to structures of about the size of a block, of which
  the plane takes a part; what an image's flattest places hold of texture counts as noise.
- Detail: along the edges of the denoised image. Noise varies as much along an edge as across it,
  detail varies across: so the gradient energy across less that along, S, is of detail alone. With x the
  noisy and f the denoised image, √(S(x − f)/S(x)) is the share of the edges' sharpness that was removed:
  0 for an ideal denoiser, 0.1 for one that dims all detail by a tenth. This is what the eye looks for in
  what was removed. Outlines that were sharpened, and noise that a camera's JPEG left along them, count too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...runtime.errors import UserError
from ...runtime.images.convert import to_grey_levels
from ...runtime.system.opencv import load_opencv

FLAT_PX = 16  # blocks that noise is measured in
DETAIL_PX = 8  # blocks that detail is measured in

_FLAT_SHARE = 0.06  # of the blocks of like brightness: the flattest are taken
_BRIGHTNESSES = 6  # groups of like brightness, since most noise depends on it
_MIN_FLAT = 3  # in each group
_MAX_CLIPPED = 0.02  # share of values at 0 or 255: noise is cut off there
_MIN_REMOVED = 0.05  # of the variance in flat blocks
_GUIDE_PX, _NOISY_GUIDE_PX, _TENSOR_PX = 1.0, 2.0, 2.0  # σ of the means that edges are found with
_COHERENT = 0.5  # from 0, no direction, to 1, one direction only
_OUTLINED = 1.0  # S(x) in gradient energies of the noise …
_OUTLINED_MIN = 2.0  # … and in grey levels² per px²
_MIN_OUTLINED = 12  # with fewer blocks detail_loss is None


@dataclass(frozen=True)
class NoReferenceQuality:
    """The quality of a result, measured without the clean image."""

    sigma_before: float  # noise of the noisy image, grey levels of 255
    sigma_after: float  # noise of the denoised one in the same blocks
    residual_correlation: float  # correlation, in these blocks, of what remains with what was removed
    detail_loss: float | None  # share of detail removed: 0 none, 1 all; None: too few edges
    colour_shift: tuple[float, float, float]  # mean of denoised less noisy; R, G, B, grey levels

    @property
    def remaining_noise(self) -> float:
        """Return σ after over σ before; 0 when there was no noise."""
        return self.sigma_after / self.sigma_before if self.sigma_before else 0.0

    @property
    def remaining_noise_min(self) -> float:
        """Return the part of `remaining_noise` that correlates with what was removed: exact for n ↦ a·n.

        The rest is texture, where an image has no flat areas, or noise much coarser than what was removed.
        """
        return max(0.0, self.residual_correlation) * self.remaining_noise


def assess_quality(noisy: np.ndarray, denoised: np.ndarray) -> NoReferenceQuality:
    """Compare a denoised image with the noisy one that it came from.

    Args:
        noisy, denoised: uint8 or uint16 (H, W, 3), H and W at least 16 px; a few hundred give a steady
            answer.

    Raises:
        UserError: they differ in shape, are too small, or not of that kind.
    """
    _check(noisy, denoised)
    if noisy.dtype != np.uint8:
        noisy, denoised = to_grey_levels(noisy), to_grey_levels(denoised)
    blocks = _noise_blocks(noisy, denoised)
    flat = _flattest(blocks)
    return NoReferenceQuality(
        sigma_before=float(np.sqrt(_quartile(blocks["before"][flat]))),
        sigma_after=float(np.sqrt(_quartile(blocks["after"][flat]))),
        residual_correlation=_residual_correlation(
            *(float(blocks[name][flat].sum()) for name in ("before", "across", "after"))
        ),
        detail_loss=_detail_loss(noisy, denoised, blocks, flat),
        colour_shift=_colour_shift(noisy, denoised),
    )


def median_quality(qualities: Sequence[NoReferenceQuality]) -> NoReferenceQuality:
    """Return the median of each quantity over one or more images."""
    losses = [quality.detail_loss for quality in qualities if quality.detail_loss is not None]
    red, green, blue = np.median([quality.colour_shift for quality in qualities], axis=0).tolist()
    return NoReferenceQuality(
        sigma_before=float(np.median([quality.sigma_before for quality in qualities])),
        sigma_after=float(np.median([quality.sigma_after for quality in qualities])),
        residual_correlation=float(np.median([quality.residual_correlation for quality in qualities])),
        detail_loss=float(np.median(losses)) if losses else None,
        colour_shift=(red, green, blue),
    )


def _check(noisy: np.ndarray, denoised: np.ndarray) -> None:
    if noisy.shape != denoised.shape:
        raise UserError(f"images of different shapes cannot be compared: {noisy.shape} and {denoised.shape}")
    depths = {noisy.dtype, denoised.dtype}
    if depths not in ({np.dtype(np.uint8)}, {np.dtype(np.uint16)}) or noisy.shape[2:] != (3,):
        raise UserError(f"a quality needs uint8 or uint16 images (H, W, 3), not {noisy.dtype} {noisy.shape}")
    if min(noisy.shape[:2]) < FLAT_PX:
        raise UserError(f"a quality needs images of at least {FLAT_PX}×{FLAT_PX} px, not {noisy.shape[:2]}")


def _noise_blocks(noisy: np.ndarray, denoised: np.ndarray) -> dict[str, np.ndarray]:
    """Return the flatness of each 16 px block, its noise before and after (variances, covariance), and more.

    Flatness is measured on one half of the pixels, as on a chequerboard, and the noise on the other: the
    least of many random values would be too small.
    """
    pixels = _blocks(noisy, FLAT_PX)
    rough, rough_after = _less_plane(pixels), _less_plane(_blocks(denoised, FLAT_PX))
    white = np.indices((FLAT_PX, FLAT_PX)).sum(axis=0).ravel() % 2 == 0
    freedom = FLAT_PX**2 / (FLAT_PX**2 - 3)  # a plane fits three of the values
    across, down = _gradient(noisy)
    return {
        "flatness": (rough[..., white] ** 2).mean(axis=(1, 2)),
        "before": (rough[..., ~white] ** 2).mean(axis=(1, 2)) * freedom,
        "across": (rough * rough_after)[..., ~white].mean(axis=(1, 2)) * freedom,
        "after": (rough_after[..., ~white] ** 2).mean(axis=(1, 2)) * freedom,
        "brightness": pixels.mean(axis=(1, 2)),
        "is_clipped": ((pixels <= 0) | (pixels >= 255)).mean(axis=(1, 2)) > _MAX_CLIPPED,
        "gradient": _means(across**2 + down**2, FLAT_PX),
    }


def _flattest(blocks: dict[str, np.ndarray]) -> np.ndarray:
    """Return indices (groups, n) of the flattest blocks among those of like brightness, dark groups first."""
    usable = np.flatnonzero(~blocks["is_clipped"])
    if not len(usable):
        usable = np.arange(len(blocks["flatness"]))
    by_brightness = usable[np.argsort(blocks["brightness"][usable], kind="stable")]
    groups = min(_BRIGHTNESSES, max(1, len(usable) // _MIN_FLAT))
    size = len(usable) // groups
    count = min(size, max(_MIN_FLAT, round(_FLAT_SHARE * size)))
    grouped = by_brightness[: groups * size].reshape(groups, size)
    flattest = np.argsort(blocks["flatness"][grouped], axis=1, kind="stable")[:, :count]
    return np.take_along_axis(grouped, flattest, axis=1)


def _quartile(values: np.ndarray) -> float:
    """Return the lower quartile: truly flat blocks contain the same noise, and texture only adds to it."""
    return float(np.quantile(values, 0.25))


def _detail_loss(
    noisy: np.ndarray, denoised: np.ndarray, blocks: dict[str, np.ndarray], flat: np.ndarray
) -> float | None:
    """Return √(S(x − f)/S(x)) over the blocks with a clear edge."""
    cosine, sine, coherence = _directions(noisy, denoised)
    before = _means(_across_less_along(noisy, cosine, sine), DETAIL_PX)
    removed = _means(_across_less_along(noisy.astype(np.float32) - denoised, cosine, sine), DETAIL_PX)
    at, gradient = (blocks[name][flat].mean(axis=1) for name in ("brightness", "gradient"))
    noise = np.interp(_means(noisy.astype(np.float32) / 3, DETAIL_PX), at, gradient)
    edged = (_means(coherence, DETAIL_PX) > _COHERENT) & (before > _OUTLINED * noise + _OUTLINED_MIN)
    if edged.sum() < _MIN_OUTLINED:
        return None
    share = float(removed[edged].sum() / before[edged].sum())
    return float(np.sqrt(np.clip(share, 0, 1)))


def _directions(noisy: np.ndarray, denoised: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return cosine and sine of twice the direction across the edges, and their coherence; each (H, W, 1).

    They are found in the denoised image, and in a blurred noisy one for edges that are gone from it.
    """
    cv2 = load_opencv()
    f = cv2.GaussianBlur(denoised.astype(np.float32), (0, 0), _GUIDE_PX)
    x, y = _gradient((f + cv2.GaussianBlur(noisy.astype(np.float32), (0, 0), _NOISY_GUIDE_PX)) / 2)
    energy, difference, product = (
        cv2.GaussianBlur(part.sum(axis=2), (0, 0), _TENSOR_PX)[:, :, None]
        for part in (x * x + y * y, x * x - y * y, 2 * x * y)
    )
    length = np.maximum(np.hypot(difference, product), 1e-6)
    return difference / length, product / length, length / np.maximum(energy, 1e-6)


def _across_less_along(image: np.ndarray, cosine: np.ndarray, sine: np.ndarray) -> np.ndarray:
    """Return gradient energy across the edges less that along them: (∇·u)² − (∇·u⊥)²; (H, W, 3)."""
    x, y = _gradient(image)
    return (x * x - y * y) * cosine + 2 * x * y * sine


def _gradient(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return grey levels per px along x and y (Scharr), float32 (H, W, 3)."""
    cv2 = load_opencv()
    values = image.astype(np.float32)
    return (
        cv2.Scharr(values, cv2.CV_32F, 1, 0, scale=1 / 32),
        cv2.Scharr(values, cv2.CV_32F, 0, 1, scale=1 / 32),
    )


def _colour_shift(noisy: np.ndarray, denoised: np.ndarray) -> tuple[float, float, float]:
    shift = denoised.mean(axis=(0, 1), dtype=np.float64) - noisy.mean(axis=(0, 1), dtype=np.float64)
    red, green, blue = shift.tolist()
    return red, green, blue


def _residual_correlation(before: float, across: float, after: float) -> float:
    """Return the correlation of r = x − f with f, given ⟨x,x⟩, ⟨x,f⟩, ⟨f,f⟩; 1 if little was removed."""
    removed, shared = before - 2 * across + after, across - after
    if removed <= _MIN_REMOVED * before:
        return 1.0
    return float(np.clip(shared / np.sqrt(removed * max(after, 1e-9)), -1, 1))


def _blocks(image: np.ndarray, size_px: int) -> np.ndarray:
    """Return (H, W, 3) as float32 (blocks, 3, pixels of a block), cropped to whole blocks."""
    rows, columns = (side // size_px for side in image.shape[:2])
    whole = image[: rows * size_px, : columns * size_px].astype(np.float32)
    split = whole.reshape(rows, size_px, columns, size_px, 3).transpose(0, 2, 4, 1, 3)
    return split.reshape(rows * columns, 3, size_px**2)


def _means(values: np.ndarray, size_px: int) -> np.ndarray:
    """Return sums over the channels of (H, W, C), averaged over each block: (blocks,)."""
    rows, columns = (side // size_px for side in values.shape[:2])
    whole = values[: rows * size_px, : columns * size_px].sum(axis=2)
    return whole.reshape(rows, size_px, columns, size_px).mean(axis=(1, 3)).ravel()


def _less_plane(blocks: np.ndarray) -> np.ndarray:
    """Return blocks minus their least-squares plane."""
    y, x = np.indices((FLAT_PX, FLAT_PX)) - (FLAT_PX - 1) / 2
    plane = np.stack([np.ones_like(x), x, y]).reshape(3, -1).astype(np.float32)
    plane /= np.linalg.norm(plane, axis=1, keepdims=True)  # orthogonal, since x and y are centred
    return blocks - (blocks @ plane.T) @ plane
