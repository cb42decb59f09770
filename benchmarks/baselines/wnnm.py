"""WNNM: weighted nuclear norm minimisation (Gu, Zhang, Zuo, Feng, CVPR 2014; Gu et al., IJCV 2017).

Similar patches of the image, one a row, make a matrix that without noise is nearly of low rank. The matrix
of least weighted nuclear norm that is near to it, whose small singular values cost most, is taken in its
place; the patches go back to where they came from and are averaged, and all of it is done again on the
result, with some of the removed noise put back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

_WEIGHT = 2 * 2**0.5  # c of the weights c·√n·σ²/(s_i + ε)
_FEEDBACK = 0.1  # δ: how much of what was removed goes back in before the next iteration
_SEARCH_RADIUS_PX = 30  # similar patches are looked for in a window of 61×61 positions
_MATCH_EVERY = 2  # iterations that share their groups
_FEWER_PATCHES = 10  # a group loses at each new matching: what noise is left needs fewer to average over
_GROUPS_AT_ONCE = 1024
_EPSILON = 1e-8

# Rows: an orthonormal opponent space (luminance, red − blue, green against both), in which noise that is
# white and of equal strength in R, G and B is so too.
_OPPONENT = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], np.float32)
_OPPONENT /= np.linalg.norm(_OPPONENT, axis=1, keepdims=True)


@dataclass(frozen=True)
class Parameters:
    """Parameters that the paper sets by the strength of the noise."""

    patch_px: int
    group_size: int  # n: patches in a group, at first
    iterations: int
    noise_scale: float  # γ of the noise that is left: γ·√(σ² − mean (y − x)²)

    @property
    def stride_px(self) -> int:
        """Distance of the patches that groups are made for."""
        return self.patch_px // 2 - 1


def parameters_for(sigma: float) -> Parameters:
    """The paper's parameters for a σ on the 0..255 scale."""
    if sigma <= 20:
        return Parameters(patch_px=6, group_size=70, iterations=8, noise_scale=0.54)
    if sigma <= 40:
        return Parameters(patch_px=7, group_size=90, iterations=12, noise_scale=0.56)
    if sigma <= 60:
        return Parameters(patch_px=8, group_size=120, iterations=14, noise_scale=0.58)
    return Parameters(patch_px=9, group_size=140, iterations=14, noise_scale=0.58)


def wnnm(noisy: np.ndarray, sigma: float, parameters: Parameters | None = None) -> np.ndarray:
    """Remove white Gaussian noise.

    Colour is denoised channel by channel in an orthonormal opponent space, with the groups found on the
    luminance.

    Args:
        noisy: uint8 (H, W) or (H, W, 3), H and W at least a patch.
        sigma: standard deviation of the noise on the 0..255 scale.
        parameters: default: the paper's for this σ.

    Returns:
        uint8, of the same shape.
    """
    if sigma <= 0:
        return noisy.copy()
    values = noisy.astype(np.float32)
    planes = np.moveaxis(values @ _OPPONENT.T, 2, 0) if noisy.ndim == 3 else values[None]
    clean = _denoise(
        torch.from_numpy(np.ascontiguousarray(planes)), sigma, parameters or parameters_for(sigma)
    )
    result = np.moveaxis(clean.numpy(), 0, 2) @ _OPPONENT if noisy.ndim == 3 else clean[0].numpy()
    return np.clip(np.rint(result), 0, 255).astype(np.uint8)


def shrink_singular_values(values: torch.Tensor, strength: torch.Tensor | float) -> torch.Tensor:
    """Closed form of the weighted nuclear norm with weights C/(s_i + ε) (IJCV 2017, remark 1).

    s_i = 0 where (d_i + ε)² < 4C, else ((d_i − ε) + √((d_i + ε)² − 4C)) / 2: the larger root of
    s + C/(s + ε) = d, at which ½(s − d)² + w·s is stationary for the weight w = C/(s + ε) of s itself.

    Args:
        values: d, singular values of the noisy matrix, of any shape.
        strength: C ≥ 0, to be broadcast with them.
    """
    under_root = (values + _EPSILON) ** 2 - 4 * strength
    root = ((values - _EPSILON) + under_root.clamp(min=0).sqrt()) / 2
    return torch.where(under_root < 0, 0.0, root).clamp(min=0)


def shrink_groups(groups: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """The low-rank matrix near each group of similar patches.

    Args:
        groups: float32 (G, n, d), n patches of d values in each group.
        sigma: float32 (G,), standard deviation of the noise in each group.

    Returns:
        float32 (G, n, d).
    """
    mean = groups.mean(dim=1, keepdim=True)
    centred = groups - mean
    # U·diag(s)·Vᵀ is centred·V·diag(s/d)·Vᵀ, and V, d² are the eigenvectors and eigenvalues of the small
    # Gram matrix: less than half the time of a decomposition of the group itself. What the square loses in
    # precision are singular values far below the threshold, which become 0 in either case.
    squares, vectors = torch.linalg.eigh(centred.mT @ centred)
    values = squares.clamp(min=0).sqrt()
    strength = _WEIGHT * groups.shape[1] ** 0.5 * sigma[:, None] ** 2
    kept = shrink_singular_values(values, strength) / values.clamp(min=_EPSILON)
    return (centred @ vectors) * kept[:, None, :] @ vectors.mT + mean


def _denoise(noisy: torch.Tensor, sigma: float, parameters: Parameters) -> torch.Tensor:
    """(C, H, W) → the same; groups are found on the first channel."""
    patch_px, size = parameters.patch_px, parameters.group_size
    noisy_patches = _patches(noisy, patch_px)
    keys = _key_positions(noisy.shape[1:], parameters)
    members = torch.empty(0)
    estimate = noisy
    for iteration in range(parameters.iterations):
        estimate = estimate + _FEEDBACK * (noisy - estimate)
        patches = _patches(estimate, patch_px)
        if iteration % _MATCH_EVERY == 0:
            size = max(size - _FEWER_PATCHES, 2 * _FEWER_PATCHES)
            members = _match(estimate[0], keys, size, patch_px)
        removed = ((noisy_patches - patches) ** 2).mean(dim=2)
        left = parameters.noise_scale * (sigma**2 - removed).abs().sqrt()
        if iteration == 0:
            left = torch.full_like(left, sigma)
        estimate = torch.stack(
            [
                _aggregate(patches[c], left[c, keys], members, noisy.shape[1:], patch_px)
                for c in range(len(noisy))
            ]
        )
    return estimate


def _aggregate(
    patches: torch.Tensor, sigma: torch.Tensor, members: torch.Tensor, shape: torch.Size, patch_px: int
) -> torch.Tensor:
    """Denoise the groups of one channel, and average where their patches overlap: (H, W)."""
    total, count = torch.zeros_like(patches), torch.zeros(len(patches))
    for group_members, group_sigma in zip(
        members.split(_GROUPS_AT_ONCE), sigma.split(_GROUPS_AT_ONCE), strict=True
    ):
        denoised = shrink_groups(patches[group_members], group_sigma)
        places = group_members.flatten()
        total.index_add_(0, places, denoised.flatten(0, 1))
        count.index_add_(0, places, torch.ones(len(places)))
    summed = F.fold(total.T[None], shape, patch_px)
    counted = F.fold(count.expand(patch_px**2, -1)[None], shape, patch_px)
    return (summed / counted)[0, 0]


def _patches(planes: torch.Tensor, patch_px: int) -> torch.Tensor:
    """All patches of (C, H, W), by position in rows of the image: (C, positions, patch_px²)."""
    return F.unfold(planes[:, None], patch_px).mT.contiguous()


def _key_positions(shape: torch.Size, parameters: Parameters) -> torch.Tensor:
    """Positions of the patches that get a group: every `stride_px`, and the last row and column."""
    last_row, last_column = (side - parameters.patch_px for side in shape)
    rows = torch.tensor([*range(0, last_row, parameters.stride_px), last_row])
    columns = torch.tensor([*range(0, last_column, parameters.stride_px), last_column])
    return (rows[:, None] * (last_column + 1) + columns).flatten()


def _match(plane: torch.Tensor, keys: torch.Tensor, size: int, patch_px: int) -> torch.Tensor:
    """Positions of the `size` patches most like each key's, in its search window: (keys, size)."""
    height, width = (side - patch_px + 1 for side in plane.shape)
    rows, columns = keys // width, keys % width
    reach = torch.arange(-_SEARCH_RADIUS_PX, _SEARCH_RADIUS_PX + 1)
    best = torch.empty(len(keys), 0)
    places = torch.empty(len(keys), 0, dtype=torch.long)
    padded = F.pad(plane, (_SEARCH_RADIUS_PX,) * 4, value=torch.inf)
    for down in (d for d in reach.tolist() if abs(d) < height):
        strip = padded[_SEARCH_RADIUS_PX + down :][: plane.shape[0]]
        moved = strip.unfold(1, plane.shape[1], 1).movedim(1, 0)  # by −30 … 30 px to the right
        distance = F.avg_pool2d((plane - moved) ** 2, patch_px, stride=1).flatten(1)[:, keys].T
        there = (rows + down)[:, None] * width + columns[:, None] + reach
        best, places = torch.cat([best, distance], 1), torch.cat([places, there], 1)
        if best.shape[1] > size:
            best, chosen = best.topk(size, dim=1, largest=False, sorted=False)
            places = places.gather(1, chosen)
    return places
