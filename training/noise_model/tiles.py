"""Cut an image into small tiles, and measure noise and texture by the cosine transform of their windows.

The power of a window at each frequency, over that of noise of unit RMS, would be the noise's variance, were
there only noise. Texture adds to it, but not evenly: more at low frequencies, and mostly in one
direction. So frequencies are put together in cells, of a ring and half of the directions each, and the
quietest cells of a window show its noise even where the window is not flat. (Cells of colour, to which
texture adds least, serve less: a JPEG empties them in some windows and not in others.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np

TILE_PX = 32
WINDOW_PX = 16
WINDOWS = 9  # of a tile; they overlap by half
QUIETEST_CELLS = 2  # of a window, taken for bare noise
MOST_TILES = 1024  # of an image
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_RINGS = (1.5, 3.0, 4.5, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.5, 16.5, 22.0)  # in half periods
_RINGS_OF_CELLS = ((0, 2), (2, 5), (5, 9), (9, 13))
_LEAST_POWER = 0.02  # of a cell, as a part of the second strongest
_MOST_CLIPPED = 0.02  # share of values at the ends of the range: noise is cut off there


@dataclass(frozen=True)
class Tiles:
    """Tiles of an image, those that are clipped left out; T of them.

    Attributes:
        pixels: float32 (T, 3, TILE_PX, TILE_PX), grey levels, without the plane that fits each best.
        brightness: float32 (T, WINDOWS), mean luma of each window, 0..255.
        power: float32 (T, WINDOWS, bands), mean power of the channels' sum at the frequencies of each band,
            grey levels².
    """

    pixels: np.ndarray
    brightness: np.ndarray
    power: np.ndarray

    def __len__(self) -> int:
        return len(self.power)


def cut(image: np.ndarray) -> Tiles:
    """Cut an image into tiles that overlap by half; a large one into a grid of 1,024 or so.

    Args:
        image: float32 (H, W, 3) in grey levels, 0..255; H, W ≥ TILE_PX.
    """
    height, width = (side - TILE_PX + 1 for side in image.shape[:2])
    step = max(TILE_PX // 2, round((height * width / MOST_TILES) ** 0.5))
    pixels = _at_grid(image, step)
    is_clipped = ((pixels <= 0) | (pixels >= 255)).mean(axis=(1, 2, 3)) > _MOST_CLIPPED
    chosen = slice(None) if is_clipped.all() else ~is_clipped
    pixels = pixels[chosen]
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (WINDOW_PX, WINDOW_PX), axis=(2, 3))
    windows = windows[:, :, :: WINDOW_PX // 2, :: WINDOW_PX // 2]  # (T, 3, 3, 3, S, S)
    brightness = np.einsum("tcijkl,c->tij", windows, np.array(LUMA, np.float32)) / WINDOW_PX**2
    return Tiles(
        pixels=_less_plane(pixels),
        brightness=brightness.reshape(-1, WINDOWS),
        power=_power(windows).reshape(len(pixels), WINDOWS, -1),
    )


def cell_means(power: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return the variance of the noise, in grey levels², by each cell of a window: (…, cells).

    Cells in which the noise has almost no power are left out: rounding and texture fill them.

    Args:
        power: (…, bands).
        expected: (bands,), of noise of unit RMS.
    """
    cells = _bands_of_cells()
    of_cells = expected @ cells
    is_filled = of_cells >= _LEAST_POWER * np.sort(of_cells)[-QUIETEST_CELLS]
    return (power @ cells[:, is_filled]) / of_cells[is_filled]


def coarseness(power: np.ndarray) -> np.ndarray:
    """Return the power at low frequencies over that at all others, of tiles (T, WINDOWS, bands): (T,)."""
    of_cells = (power @ _bands_of_cells()).mean(axis=1)
    return of_cells[:, :2].sum(axis=1) / np.maximum(of_cells[:, 2:].sum(axis=1), 1e-6)


def quietest(means: np.ndarray) -> np.ndarray:
    """Return the mean of the quietest of the cells (…, cells) of each window."""
    least = np.partition(means, QUIETEST_CELLS - 1, axis=-1)
    return least[..., :QUIETEST_CELLS].mean(axis=-1)


def _at_grid(image: np.ndarray, step: int) -> np.ndarray:
    """Return tiles (T, 3, TILE_PX, TILE_PX) at every `step` pixels."""
    every = np.lib.stride_tricks.sliding_window_view(image, (TILE_PX, TILE_PX), axis=(0, 1))
    tiles = every[::step, ::step]
    return np.ascontiguousarray(tiles).reshape(-1, 3, TILE_PX, TILE_PX)


def _less_plane(tiles: np.ndarray) -> np.ndarray:
    y, x = np.indices((TILE_PX, TILE_PX)) - (TILE_PX - 1) / 2
    plane = np.stack([np.ones_like(x), x, y]).reshape(3, -1).astype(np.float32)
    plane /= np.linalg.norm(plane, axis=1, keepdims=True)  # orthogonal, since x and y are centred
    flat = tiles.reshape(len(tiles), 3, -1)
    return (flat - (flat @ plane.T) @ plane).reshape(tiles.shape)


def _power(windows: np.ndarray) -> np.ndarray:
    """Return the power of windows (T, 3, k, k, S, S) in each band, summed over channels: (T, k, k, bands)."""
    cosine, bands = _cosines(), _bands()
    power = np.zeros((*windows.shape[:1], *windows.shape[2:]), np.float32)
    for channel in range(windows.shape[1]):
        power += (cosine @ windows[:, channel] @ cosine.T) ** 2
    return power.reshape(*power.shape[:-2], -1) @ bands


@cache
def _cosines() -> np.ndarray:
    """Return the orthonormal cosine transform (DCT-II) as a matrix."""
    place = np.arange(WINDOW_PX)
    matrix = np.cos(np.pi * place[:, None] * (2 * place + 1) / (2 * WINDOW_PX)) * (2 / WINDOW_PX) ** 0.5
    matrix[0] *= 0.5**0.5
    return matrix.astype(np.float32)


@cache
def _bands() -> np.ndarray:
    """Return each band's frequencies as weights that sum to 1: float32 (S², bands); two bands a ring."""
    place = np.arange(WINDOW_PX)
    frequency = np.hypot(place[:, None], place)
    is_steep = place[:, None] > place
    is_steep[place, place] = place % 2 == 0
    bands = []
    for low, high in pairwise(_RINGS):
        ring = (frequency >= low) & (frequency < high)
        bands += [ring & is_steep, ring & ~is_steep]
    members = np.stack([band.ravel() for band in bands], axis=1).astype(np.float32)
    return members / members.sum(axis=0)


@cache
def _bands_of_cells() -> np.ndarray:
    """Return the bands of each cell, weighted by their frequencies' number: float32 (bands, cells)."""
    sizes = 1 / _bands().max(axis=0)
    cells = []
    for first, last in _RINGS_OF_CELLS:
        for half in (0, 1):
            weight = np.zeros(len(sizes), np.float32)
            weight[2 * first + half : 2 * last : 2] = sizes[2 * first + half : 2 * last : 2]
            cells.append(weight / weight.sum())
    return np.stack(cells, axis=1).astype(np.float32)
