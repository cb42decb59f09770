"""Plan the tiles of an image as plain data; extract them and stitch the results. Pure numpy.

The *canvas* is the image padded at its bottom and right edge, by repeating the last pixel, to sides that
are multiples of the network's stride. The whole-image result is one run of the network over the canvas.
Tiles lie inside the canvas, so that the network handles the canvas's border as in the whole-image run.
Their origins are multiples of the stride, because a network with pooling is equivariant only to shifts by
its stride. With a halo at least as wide as the receptive radius, the tiled result therefore equals the
whole-image result to rounding.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from ..errors import UserError

WHOLE_IMAGE = 0  # as a tile size: one tile over the whole canvas
_MOST_ELONGATED = 8  # lower tiles than a square's side divided by this are all overlap, and many


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def bottom(self) -> int:
        """First row below the box."""
        return self.top + self.height

    @property
    def right(self) -> int:
        """First column right of the box."""
        return self.left + self.width

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the box in an array (H, W, …)."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


@dataclass(frozen=True)
class Tile:
    """One run of the network: read `source`, crop the result to `keep`, write it to `target`."""

    source: Box  # on the canvas; may extend below or right of the image
    keep: Box  # inside the tile
    target: Box  # inside the image, the size of `keep`


@dataclass(frozen=True)
class TilePlan:
    """The tiles of an image of one size; their targets cover each pixel exactly once."""

    image_hw: tuple[int, int]
    canvas_hw: tuple[int, int]
    tile_hw: tuple[int, int]  # of every tile
    halo_px: int
    tiles: tuple[Tile, ...]

    @property
    def computed_px(self) -> int:
        """Number of pixels that the network computes, halos included."""
        return len(self.tiles) * self.tile_hw[0] * self.tile_hw[1]


def plan_tiles(
    height: int,
    width: int,
    *,
    tile_px: int | tuple[int, int] = WHOLE_IMAGE,
    halo_px: int = 0,
    multiple_px: int = 1,
    fixed: bool = False,
) -> TilePlan:
    """Cut an image into tiles of one size.

    Args:
        height, width: of the image, at least 1.
        tile_px: the tile's side or (height, width), halo included, a multiple of `multiple_px`;
            0 takes the whole image at once.
        halo_px: minimum distance of the kept part from the tile's borders inside the canvas.
        multiple_px: the network's stride; sides of canvas and tiles and origins of tiles are multiples.
        fixed: the network takes this tile size only. Otherwise tiles are shrunk as far as the same
            number of them covers the canvas.

    Raises:
        UserError: the tile is too small for its halo.
        ValueError: a size that is not positive, or a tile that is not a multiple.
    """
    if height < 1 or width < 1 or halo_px < 0 or multiple_px < 1:
        raise ValueError(f"no tiles for {height}×{width} px, halo {halo_px} px, multiple {multiple_px} px")
    tile_height, tile_width = (tile_px, tile_px) if isinstance(tile_px, int) else tile_px
    rows = _cut(height, tile_height, halo_px, multiple_px, fixed)
    columns = _cut(width, tile_width, halo_px, multiple_px, fixed)
    return TilePlan(
        image_hw=(height, width),
        canvas_hw=(rows.canvas, columns.canvas),
        tile_hw=(rows.tile, columns.tile),
        halo_px=halo_px,
        tiles=tuple(
            _tile(row, rows.tile, column, columns.tile) for row in rows.spans for column in columns.spans
        ),
    )


def smallest_tile_px(halo_px: int, multiple_px: int) -> int:
    """Return the smallest side of a tile that keeps pixels with this halo: both halos and one multiple."""
    return _overlap(halo_px, multiple_px) + multiple_px


def choose_tile_px(budget_bytes: float, bytes_per_px: float, *, halo_px: int, multiple_px: int = 1) -> int:
    """Return the side of the largest square tile whose working set stays within a budget.

    Args:
        budget_bytes: memory for the network's working set over the tiles of one run.
        bytes_per_px: working set per pixel of a tile, times the tiles in a batch.
        halo_px, multiple_px: as for `plan_tiles`.

    Raises:
        UserError: not even the smallest useful tile fits.
    """
    side = math.isqrt(max(0, int(budget_bytes / bytes_per_px))) // multiple_px * multiple_px
    smallest = smallest_tile_px(halo_px, multiple_px)
    if side < smallest:
        missing_mb = (smallest**2 * bytes_per_px - budget_bytes) / 1e6
        raise UserError(
            f"the smallest tile for an overlap of {halo_px} px, {smallest} px, needs {math.ceil(missing_mb)} "
            "MB more memory than allowed; raise --max-memory or lower --tile-overlap"
        )
    return side


def choose_tile_hw(
    height: int, width: int, *, max_px: int, halo_px: int, multiple_px: int
) -> tuple[int, int] | None:
    """Return the (height, width) of the tiles of `max_px` pixels at most that compute the fewest pixels.

    The tiles of an image need not be square: one that is as wide as the image has no overlap on its sides.

    Args:
        height, width: of the image.
        halo_px, multiple_px: as for `plan_tiles`.

    Returns:
        Sides for `plan_tiles`; None if no useful tile has so few pixels.
    """
    canvas_height, canvas_width = _round_up(height, multiple_px), _round_up(width, multiple_px)
    overlap = _overlap(halo_px, multiple_px)
    least_side = max(smallest_tile_px(halo_px, multiple_px), math.isqrt(max_px) // _MOST_ELONGATED)
    most_rows = max(1, -(-(canvas_height - overlap) // (least_side - overlap)))
    square = math.isqrt(max_px) // multiple_px * multiple_px
    candidates = []
    for wanted_rows in range(1, most_rows + 1):
        side = canvas_height
        if wanted_rows > 1:
            side = _round_up(-(-(canvas_height - overlap) // wanted_rows), multiple_px) + overlap
        tile_height, rows = _shrunk(canvas_height, side, overlap, multiple_px)
        longest = max_px // tile_height // multiple_px * multiple_px
        for side in {longest, min(longest, square)}:  # fewer columns can compute more, by the rounding
            if side >= min(canvas_width, overlap + multiple_px):
                tile_width, columns = _shrunk(canvas_width, side, overlap, multiple_px)
                computed_px = rows * tile_height * columns * tile_width
                candidates.append((computed_px, rows, (tile_height, tile_width)))
    return min(candidates)[2] if candidates else None


def extract(image: np.ndarray, tile: Tile) -> np.ndarray:
    """Return the pixels that a tile reads, (tile height, tile width, C).

    Args:
        image: (H, W, C), any dtype, of the size that the plan was made for.

    Returns:
        A view if the tile lies inside the image, else a copy padded with the last row and column.
    """
    inside = image[tile.source.slices]
    bottom = tile.source.height - inside.shape[0]
    right = tile.source.width - inside.shape[1]
    if bottom or right:
        return np.pad(inside, ((0, bottom), (0, right), (0, 0)), mode="edge")
    return inside


def keep(result: np.ndarray, tile: Tile) -> np.ndarray:
    """Return the part of a tile's result to keep: a view of (tile height, tile width, C)."""
    return result[tile.keep.slices]


def stitch(kept: np.ndarray, tile: Tile, image: np.ndarray) -> None:
    """Write the kept part of a tile's result to its target in the image, (H, W, C)."""
    image[tile.target.slices] = kept


@dataclass(frozen=True)
class _Span:
    """A tile along one axis."""

    origin: int  # first pixel on the canvas
    start: int  # first image pixel of the target
    stop: int  # last image pixel of the target + 1


@dataclass(frozen=True)
class _Cuts:
    """The tiles along one axis."""

    canvas: int
    tile: int
    spans: list[_Span]


def _cut(length: int, tile: int, halo: int, multiple: int, fixed: bool) -> _Cuts:
    if tile % multiple:
        raise ValueError(f"a tile of {tile} px is not a multiple of {multiple} px")
    canvas = _round_up(length, multiple)
    if tile == WHOLE_IMAGE or (tile >= canvas and not fixed):
        return _Cuts(canvas, canvas, [_Span(0, 0, length)])
    if tile >= canvas:
        return _Cuts(tile, tile, [_Span(0, 0, length)])
    overlap = _overlap(halo, multiple)
    if tile <= overlap:
        raise UserError(
            f"a tile of {tile} px is all overlap at {halo} px a side: "
            f"use tiles of at least {smallest_tile_px(halo, multiple)} px or a smaller --tile-overlap"
        )
    shrunk, count = _shrunk(canvas, tile, overlap, multiple)
    tile = tile if fixed else shrunk
    origins = [min(i * (tile - overlap), canvas - tile) for i in range(count)]
    # neighbours meet in the middle of their overlap, at least the halo away from the border of either
    cuts = [0, *((before + tile + after) // 2 for before, after in itertools.pairwise(origins)), length]
    spans = [_Span(*span) for span in zip(origins, cuts, cuts[1:], strict=False)]
    return _Cuts(canvas, tile, spans)


def _shrunk(canvas: int, tile: int, overlap: int, multiple: int) -> tuple[int, int]:
    """Return the side of the smallest tiles of which no more cover the canvas, and their number."""
    if tile >= canvas:
        return canvas, 1
    count = -(-(canvas - overlap) // (tile - overlap))
    return _round_up(-(-(canvas - overlap) // count), multiple) + overlap, count


def _tile(row: _Span, height: int, column: _Span, width: int) -> Tile:
    rows, columns = row.stop - row.start, column.stop - column.start
    return Tile(
        source=Box(row.origin, column.origin, height, width),
        keep=Box(row.start - row.origin, column.start - column.origin, rows, columns),
        target=Box(row.start, column.start, rows, columns),
    )


def _overlap(halo: int, multiple: int) -> int:
    return _round_up(2 * halo, multiple)


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
