"""Choose tiles to calibrate on, reproducibly: dark and bright, smooth and textured."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any, NamedTuple

import numpy as np

from ..runtime.errors import UserError

TILE_PX = 128
BRIGHTNESS_EDGES = (40, 80, 120, 170)  # grey levels, mean of a tile
TEXTURE_EDGES = (6, 14, 28)  # grey levels, standard deviation of the means of 4×4 px
_TEXTURE_PX = 4
_MAX_PER_IMAGE = 24  # tiles, so that one large image does not fill the set


class CalibrationImage(NamedTuple):
    """An image to take tiles of: its name, its noisy pixels and, if known, its clean pixels.

    Both uint8 (H, W, 3), H and W at least a tile's.
    """

    name: str
    noisy: np.ndarray
    clean: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Tiles:
    """Tiles of noisy images."""

    noisy: np.ndarray  # uint8 (N, S, S, 3)
    clean: np.ndarray | None  # the same without noise; None if unknown
    names: tuple[str, ...]  # image and upper left pixel of each tile, such as "a.png 128,0" (x, y)
    seed: int  # of the choice

    def __len__(self) -> int:
        return len(self.noisy)

    @property
    def sha256(self) -> str:
        """Return the hash of the noisy pixels in their order."""
        digest = hashlib.sha256()
        for tile in self.noisy:
            digest.update(tile.tobytes())
        return digest.hexdigest()

    def describe(self) -> dict[str, Any]:
        """Return plain values for the description of a calibration."""
        return {
            "count": len(self),
            "tile_px": self.noisy.shape[1],
            "seed": self.seed,
            "sha256": self.sha256,
            "names": list(self.names),
        }

    def part(self, chosen: np.ndarray | slice) -> Tiles:
        """Return the tiles of these indices, in that order."""
        clean = None if self.clean is None else self.clean[chosen]
        names = tuple(np.array(self.names)[chosen].tolist())
        return Tiles(self.noisy[chosen], clean, names, self.seed)


def choose_tiles(
    images: Iterable[CalibrationImage], *, count: int, tile_px: int = TILE_PX, seed: int = 0
) -> Tiles:
    """Choose tiles spread evenly over brightness and texture, as far as the images have them.

    Images are read once, one at a time; candidates are kept in a temporary file.

    Args:
        images: all with clean pixels, or none.
        tile_px: S.

    Raises:
        UserError: `count` is not positive, there are no images, or all of them are blank.
    """
    if count < 1:
        raise UserError(f"cannot calibrate on {count} tiles; name 1 or more")
    rng = np.random.default_rng([seed, 6])
    with tempfile.TemporaryFile() as file:  # unnamed; freed with the last array that maps it
        candidates = _Candidates(file, count, tile_px)
        for image in images:
            for tile in _tiles_of(image, tile_px, rng):
                candidates.offer(tile, rng)
        return candidates.choose(count, seed)


def split_tiles(tiles: Tiles, held_out: int) -> tuple[Tiles, Tiles]:
    """Split tiles into those to calibrate on and `held_out` others to measure on, equally varied.

    Raises:
        UserError: there are not more than `held_out`.
    """
    if len(tiles) <= held_out:
        raise UserError(
            f"the images have {len(tiles)} tiles, too few to calibrate on and to measure on {held_out} "
            "others; name more or larger images with --calib"
        )
    apart = np.unique(np.linspace(0, len(tiles) - 1, held_out).round().astype(int))
    rest = np.setdiff1d(np.arange(len(tiles)), apart)
    return tiles.part(rest), tiles.part(apart)


class _Tile(NamedTuple):
    name: str
    noisy: np.ndarray
    clean: np.ndarray | None
    stratum: tuple[int, int]


class _Candidates:
    """Up to `count` tiles of each stratum, sampled uniformly from those offered."""

    def __init__(self, file: IO[bytes], count: int, tile_px: int) -> None:
        self._strata = (len(BRIGHTNESS_EDGES) + 1, len(TEXTURE_EDGES) + 1)
        shape = (self._strata[0] * self._strata[1], count, 2, tile_px, tile_px, 3)
        self._pixels = np.memmap(file, np.uint8, "w+", shape=shape)
        self._names: list[list[str]] = [[] for _ in range(shape[0])]
        self._seen = [0] * shape[0]
        self._count = count
        self._has_clean: bool | None = None
        self._is_flat = True

    def offer(self, tile: _Tile, rng: np.random.Generator) -> None:
        stratum = int(np.ravel_multi_index(tile.stratum, self._strata))
        names, seen = self._names[stratum], self._seen[stratum]
        self._seen[stratum] += 1
        self._is_flat &= int(tile.noisy.min()) == int(tile.noisy.max())
        self._has_clean = tile.clean is not None
        slot = len(names) if len(names) < self._count else int(rng.integers(seen + 1))
        if slot < self._count:
            names[slot : slot + 1] = [tile.name]
            self._pixels[stratum, slot, 0] = tile.noisy
            if tile.clean is not None:
                self._pixels[stratum, slot, 1] = tile.clean

    def choose(self, count: int, seed: int) -> Tiles:
        """Take one of each stratum in turn, until there are enough."""
        if not any(self._seen):
            raise UserError("there are no images to calibrate on; name some with --calib")
        if self._is_flat:
            raise UserError(
                "the images to calibrate on are blank (a covered lens?); name others with --calib"
            )
        turns = (
            (s, slot) for slot in range(count) for s, names in enumerate(self._names) if slot < len(names)
        )
        chosen = [place for place, _ in zip(turns, range(count), strict=False)]
        strata, slots = np.array(chosen).T
        pixels = self._pixels.reshape(-1, *self._pixels.shape[2:])
        places = strata * self._count + slots
        return Tiles(
            noisy=pixels[places, 0],
            clean=pixels[places, 1] if self._has_clean else None,
            names=tuple(self._names[s][slot] for s, slot in chosen),
            seed=seed,
        )


def _tiles_of(image: CalibrationImage, tile_px: int, rng: np.random.Generator) -> Iterator[_Tile]:
    height, width = image.noisy.shape[:2]
    rows, columns = height // tile_px, width // tile_px
    top, left = (int(rng.integers(side % tile_px + 1)) for side in (height, width))
    order = rng.permutation(rows * columns)[:_MAX_PER_IMAGE]
    for y, x in ((top + tile_px * (i // columns), left + tile_px * (i % columns)) for i in order.tolist()):
        noisy, clean = (
            None if pixels is None else pixels[y : y + tile_px, x : x + tile_px]
            for pixels in (image.noisy, image.clean)
        )
        assert noisy is not None
        yield _Tile(f"{image.name} {x},{y}", noisy, clean, _stratum(noisy))


def _stratum(tile: np.ndarray) -> tuple[int, int]:
    """Return the index of a tile's brightness range and of its texture range."""
    luma = tile.mean(axis=2)
    side = luma.shape[0] // _TEXTURE_PX * _TEXTURE_PX
    means = luma[:side, :side].reshape(side // _TEXTURE_PX, _TEXTURE_PX, -1, _TEXTURE_PX).mean(axis=(1, 3))
    return (int(np.digitize(luma.mean(), BRIGHTNESS_EDGES)), int(np.digitize(means.std(), TEXTURE_EDGES)))
