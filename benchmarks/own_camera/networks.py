"""Denoise images of any size by a trained network, in tiles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from n2b.runtime.inference.tiling import extract, keep, plan_tiles, stitch

Denoise = Callable[[np.ndarray], np.ndarray]  # uint8 (H, W, 3), or (H, W, 1), to the same

_TILE_PX = 768


def network_denoiser(checkpoint: Path) -> Denoise:
    """Return the network of a run's folder or a checkpoint, on the CPU; for grey images too."""
    import torch
    from n2b.training.checkpoint import load_denoiser
    from n2b.training.evaluation.validation import denoise_with

    network, info = load_denoiser(checkpoint)
    domain = "log" if info.value_transform == "log" else "linear"
    denoise = tiled(
        denoise_with(network, domain, torch.device("cpu")),
        halo_px=info.default_halo_px,
        multiple_px=info.size_multiple_px,
    )
    return on_three_channels(denoise)


def tiled(denoise: Denoise, *, halo_px: int, multiple_px: int = 1) -> Denoise:
    """Return `denoise` applied to tiles of at most 768 px that overlap by `halo_px` on each side."""

    def denoise_tiles(image: np.ndarray) -> np.ndarray:
        plan = plan_tiles(
            *image.shape[:2],
            tile_px=_TILE_PX // multiple_px * multiple_px,
            halo_px=halo_px,
            multiple_px=multiple_px,
        )
        result = np.empty_like(image)
        for tile in plan.tiles:
            stitch(keep(denoise(extract(image, tile)), tile), tile, result)
        return result

    return denoise_tiles


def on_three_channels(denoise: Denoise) -> Denoise:
    """Return `denoise` for grey images too: as three equal channels, whose results are averaged."""

    def denoise_any(image: np.ndarray) -> np.ndarray:
        if image.shape[2] == 3:
            return denoise(image)
        result = denoise(np.ascontiguousarray(image.repeat(3, axis=2)))
        mean = result.mean(axis=2, keepdims=True, dtype=np.float32)
        return np.rint(mean).astype(np.uint8)

    return denoise_any
