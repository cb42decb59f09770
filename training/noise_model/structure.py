"""Recognise noise that Noise2Blur cannot remove, since it has structure: banding, fixed pattern, hot pixels.

Noise2Blur takes for noise what no blurred image predicts. A row that is brighter from edge to edge, or a
pattern that is the same in all images, looks like detail. Dark frames take both away.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np

from ...runtime.images.convert import middle_crop, to_float
from ...runtime.system.opencv import load_opencv

MAX_IMAGES = 16
MAX_SIDE_PX = 1024  # of the middle of an image that is looked at
MIN_BANDING = 0.3  # σ of banding, as a part of that of the noise
MIN_BANDING_LEVELS = 0.3  # grey levels; less is not seen
MIN_FIXED_SHARE = 0.1
MIN_HOT_PER_MP = 10.0

BLOCK_PX = 32
_MAX_RMS = 1.5  # of a flat block, times that of the quietest fifth
_MAX_CLIPPED = 0.05  # share of a block's values at black or white, where noise is cut off
_MIN_BLOCKS = 4  # of a row of blocks, for its banding
_MIN_BANDS = 3  # rows of flat blocks of an image
_FEW_IMAGES, _MIN_AGREEING = 3, 6  # below so many images, so many rows of blocks
_MIN_AGREEMENT = 0.5  # of the variances of those: their lower quintile, as a part of their median
_MIN_PAIRS = 16  # blocks that are flat in two images
_MAX_SCENE_CORRELATION = 0.5  # of two images; else they show the same scene, which is fixed too
_HOT, _QUIET = 7.0, 4.0  # deviation of a hot pixel, and of those two pixels away, times σ
_MIN_HOT_LEVELS = 6.0  # grey levels
_MIN_RECURRENCE = 0.5  # share of the images with quiet surroundings in which a hot pixel shows
_MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True)
class NoiseStructure:
    """The structured part of a camera's noise, in grey levels of 0..255.

    Attributes:
        images: number of images looked at that have flat areas.
        sigma: standard deviation of all noise in flat areas, in the mean of the channels.
        row_banding, column_banding: standard deviation of what a whole row, or column, has in common.
        fixed_share: share of the noise's variance that images of one size have in common; None: there are
            no two of one size that show different scenes.
        hot_per_mp: pixels per megapixel that are much brighter than their neighbours, at the same place in
            several images; None as for `fixed_share`.
    """

    images: int
    sigma: float
    row_banding: float
    column_banding: float
    fixed_share: float | None
    hot_per_mp: float | None

    @property
    def has_row_banding(self) -> bool:
        """Return True if rows differ visibly."""
        return self.row_banding >= max(MIN_BANDING * self.sigma, MIN_BANDING_LEVELS)

    @property
    def has_column_banding(self) -> bool:
        """Return True if columns differ visibly."""
        return self.column_banding >= max(MIN_BANDING * self.sigma, MIN_BANDING_LEVELS)

    @property
    def has_fixed_pattern(self) -> bool:
        """Return True if part of the noise is the same in all images."""
        return self.fixed_share is not None and self.fixed_share >= MIN_FIXED_SHARE

    @property
    def has_hot_pixels(self) -> bool:
        """Return True if there are more hot pixels than chance and sparkles of a scene make."""
        return self.hot_per_mp is not None and self.hot_per_mp >= MIN_HOT_PER_MP

    def describe(self) -> list[str]:
        """Return a line for each kind that was found, with what helps; none if there is none."""
        lines = []
        for kind, found, level in (
            ("row", self.has_row_banding, self.row_banding),
            ("column", self.has_column_banding, self.column_banding),
        ):
            if found:
                lines.append(
                    f"{kind} banding of {level:.1f} grey levels: Noise2Blur takes it for detail; take dark "
                    "frames, --dark, which remove what of it is the same in all images"
                )
        if self.has_fixed_pattern:
            lines.append(
                f"fixed pattern: {self.fixed_share:.0%} of the noise is the same in all images, and "
                "Noise2Blur takes it for detail; take dark frames, --dark"
            )
        if self.has_hot_pixels:
            lines.append(
                f"hot pixels, {self.hot_per_mp:.0f} per megapixel: Noise2Blur takes them for detail; take "
                "dark frames, --dark"
            )
        return lines


def find_structure(images: Iterable[np.ndarray]) -> NoiseStructure | None:
    """Measure the structured noise of a camera.

    Args:
        images: noisy images of one camera: (H, W, 1 | 3), uint8, uint16 or float32 in [0, 1]; the first 16
            are taken, one at a time, and of each the middle.

    Returns:
        The structure; None if no image has enough flat areas.
    """
    measured = [one for one in map(_Measured.of, islice(images, MAX_IMAGES)) if one is not None]
    if not measured:
        return None
    groups = _of_one_size(measured)
    return NoiseStructure(
        images=len(measured),
        sigma=float(np.median([one.sigma for one in measured])),
        row_banding=_typical([one.row_variances for one in measured]) ** 0.5,
        column_banding=_typical([one.column_variances for one in measured]) ** 0.5,
        fixed_share=_fixed_share(groups),
        hot_per_mp=_hot_per_mp(groups),
    )


@dataclass(frozen=True, eq=False)
class _Measured:
    """An image, its blocks of BLOCK_PX in rows and columns.

    Attributes:
        scene: float32 (H, W), blurred and reduced, of zero mean: what it shows.
        residual: float32 (H, W), the finest detail, grey levels.
        flat: bool (rows, columns), blocks of little but noise.
        sigma: of the noise.
        row_variances, column_variances: of the banding, by rows and columns of flat blocks.
        quiet: bool (H, W), pixels in whose surroundings a hot one shows.
        hot: bool (H, W), those far above their surroundings.
    """

    scene: np.ndarray
    residual: np.ndarray
    flat: np.ndarray
    sigma: float
    row_variances: np.ndarray
    column_variances: np.ndarray
    quiet: np.ndarray
    hot: np.ndarray

    @classmethod
    def of(cls, image: np.ndarray) -> _Measured | None:
        """Return the measured image; None if it is too small or all of it is clipped."""
        cv2 = load_opencv()
        pixels = 255 * to_float(np.ascontiguousarray(middle_crop(image, MAX_SIDE_PX)))
        height, width = (side // BLOCK_PX * BLOCK_PX for side in pixels.shape[:2])
        if min(height, width) < _MIN_BLOCKS * BLOCK_PX:
            return None
        pixels = pixels[:height, :width]
        grey = np.ascontiguousarray(pixels.mean(axis=2))
        blocks = _blocks(grey)
        at_ends = ((pixels <= 0) | (pixels >= 255)).mean(axis=2)
        is_clipped = _blocks(at_ends).mean(axis=(2, 3)) > _MAX_CLIPPED
        if is_clipped.all():
            return None
        rms = _rms_without_banding(blocks)
        flat = ~is_clipped & (rms <= _MAX_RMS * np.quantile(rms[~is_clipped], 0.2))
        rows, columns = _banding(blocks, flat), _banding(blocks.transpose(1, 0, 3, 2), flat.T)
        sigma = (float(np.median(rms[flat])) ** 2 + _typical([rows]) + _typical([columns])) ** 0.5
        quiet, hot = _hot(grey, sigma)
        scene = cv2.resize(cv2.GaussianBlur(grey, (0, 0), 8), None, fx=1 / 8, fy=1 / 8)
        return cls(
            scene=scene - scene.mean(),
            residual=grey - cv2.GaussianBlur(grey, (0, 0), 1.5),
            flat=flat,
            sigma=sigma,
            row_variances=rows,
            column_variances=columns,
            quiet=quiet,
            hot=hot,
        )


def _blocks(values: np.ndarray) -> np.ndarray:
    """Return a view of (H, W) as (rows, columns, BLOCK_PX, BLOCK_PX)."""
    rows, columns = (side // BLOCK_PX for side in values.shape)
    return values.reshape(rows, BLOCK_PX, columns, BLOCK_PX).swapaxes(1, 2)


def _rms_without_banding(blocks: np.ndarray) -> np.ndarray:
    """Return σ of each block without the means of its rows and columns; hot pixels hardly count."""
    rest = blocks - blocks.mean(axis=2, keepdims=True) - blocks.mean(axis=3, keepdims=True)
    rest += blocks.mean(axis=(2, 3), keepdims=True)
    degrees_of_freedom = (1 - 1 / BLOCK_PX) ** 2
    return _MAD_TO_SIGMA * np.median(np.abs(rest), axis=(2, 3)) / degrees_of_freedom**0.5


def _banding(blocks: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """Return the variance that rows have in common over the width of the image, by rows of flat blocks.

    The profile of a row of blocks is taken from each second flat block, and again from the others: what both
    have in common is banding, whatever the noise. Medians keep out edges in the scene.
    """
    variances = []
    for band, is_flat in zip(blocks, flat, strict=True):
        if is_flat.sum() < _MIN_BLOCKS:
            continue
        profiles = _without_trend(band[is_flat].mean(axis=2))
        first, second = (np.median(profiles[start::2], axis=0) for start in (0, 1))
        variances.append((_robust_variance(first + second) - _robust_variance(first - second)) / 4)
    return np.array(variances)


def _without_trend(profiles: np.ndarray) -> np.ndarray:
    """Return profiles (n, BLOCK_PX) minus the parabola that fits each best, scaled to keep their variance."""
    powers = np.vander(np.linspace(-1, 1, BLOCK_PX), 3)
    basis, _ = np.linalg.qr(powers)
    return (profiles - profiles @ basis @ basis.T) * (BLOCK_PX / (BLOCK_PX - 3)) ** 0.5


def _robust_variance(values: np.ndarray) -> float:
    return float(_MAD_TO_SIGMA * np.median(np.abs(values - np.median(values)))) ** 2


def _typical(of_images: Sequence[np.ndarray]) -> float:
    """Return the variance of the banding of all images, at least 0.

    Lines of a scene look like banding where they cross it from edge to edge. Several images outvote them; of
    one or two, all rows of blocks must agree.

    Args:
        of_images: variances by rows of flat blocks.
    """
    usable = [variances for variances in of_images if len(variances) >= _MIN_BANDS]
    if len(usable) >= _FEW_IMAGES:
        return max(float(np.median([np.median(variances) for variances in usable])), 0.0)
    together = np.concatenate([*usable, np.empty(0)])
    if len(together) < _MIN_AGREEING:
        return 0.0
    median = float(np.median(together))
    return median if np.quantile(together, 0.2) >= _MIN_AGREEMENT * median > 0 else 0.0


def _of_one_size(images: Sequence[_Measured]) -> list[list[_Measured]]:
    """Return groups of two and more images that have one size and show different scenes."""
    groups: dict[tuple[int, ...], list[_Measured]] = {}
    for image in images:
        group = groups.setdefault(image.residual.shape, [])
        if all(_correlation(image.scene, other.scene) < _MAX_SCENE_CORRELATION for other in group):
            group.append(image)
    return [group for group in groups.values() if len(group) > 1]


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    energy = float((one**2).sum()) * float((other**2).sum())
    return float((one * other).sum()) / max(energy, 1e-12) ** 0.5


def _fixed_share(groups: Sequence[Sequence[_Measured]]) -> float | None:
    """Return the median correlation of the residuals of two images in blocks that are flat in both."""
    shares: list[np.ndarray] = []
    for one, other in (pair for group in groups for pair in combinations(group, 2)):
        both = one.flat & other.flat
        first, second = (_blocks(image.residual)[both] for image in (one, other))
        energy = (first**2).sum(axis=(1, 2)) * (second**2).sum(axis=(1, 2))
        shares.append((first * second).sum(axis=(1, 2)) / np.sqrt(np.maximum(energy, 1e-12)))
    together = np.concatenate(shares) if shares else np.empty(0)
    return max(float(np.median(together)), 0.0) if len(together) >= _MIN_PAIRS else None


def _hot(grey: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Return masks (H, W) of pixels whose surroundings are alike, and of those far above these."""
    cv2 = load_opencv()
    deviation = grey - cv2.medianBlur(grey, 5)
    ring = np.ones((5, 5), np.uint8)
    ring[1:4, 1:4] = 0  # a demosaiced hot pixel spreads to its neighbours
    around = cv2.dilate(np.abs(deviation), ring)
    is_highest = grey >= cv2.dilate(grey, np.ones((3, 3), np.uint8))
    least = max(_HOT * sigma, _MIN_HOT_LEVELS)
    is_quiet = around < max(_QUIET * sigma, _MIN_HOT_LEVELS / 2)
    return is_quiet, is_quiet & is_highest & (deviation > least)


def _hot_per_mp(groups: Sequence[Sequence[_Measured]]) -> float | None:
    """Return the number of hot pixels per megapixel at places that recur."""
    count = pixels = 0
    for group in groups:
        shown = np.sum([image.hot for image in group], axis=0)
        quiet = np.sum([image.quiet for image in group], axis=0)
        count += int(((shown >= 2) & (shown >= _MIN_RECURRENCE * quiet)).sum())
        pixels += int((quiet >= 2).sum())
    return count / (pixels / 1e6) if pixels else None
