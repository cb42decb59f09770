"""Parse the input shapes of an engine, and choose those that are not named."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from functools import partial

from ...runtime.errors import UserError
from ...runtime.system.gpu import Gpu
from ...runtime.system.options import changed_options, option

Shape = tuple[int, int, int]  # N, H, W

SHAPES_PANEL = "Shapes"
DESKTOP_BATCH = 4  # default of the largest batch on a GPU with its own memory
_UNBOUNDED = (sys.maxsize, sys.maxsize, sys.maxsize)


@dataclass(frozen=True)
class Profile:
    """Input shapes (N, H, W, C) that an engine takes; all three are the same if it is static."""

    smallest: tuple[int, ...]
    best: tuple[int, ...]  # its kernels are chosen for this one
    largest: tuple[int, ...]


def parse_shape(text: str, option: str) -> Shape:
    """Parse a batch, height and width such as "1x256x256".

    Raises:
        UserError: the text has another form; the message names `option`.
    """
    match = re.fullmatch(r"(\d+)[x×](\d+)[x×](\d+)", text.strip().lower())
    if match is None:
        raise UserError(f"{option} takes a shape as NxHxW, such as 1x256x256, not '{text}'")
    batch, height, width = map(int, match.groups())
    return batch, height, width


_shape = partial(option, SHAPES_PANEL, None, parse=parse_shape, metavar="NxHxW")


@dataclass(frozen=True)
class Shapes:
    """Shapes of an engine as named by the user, N×H×W; None: to be chosen."""

    smallest: Shape | None = _shape("With --dynamic: smallest input of an engine.", name="--min-shape")
    best: Shape | None = _shape("With --dynamic: input that the engine is tuned for.", name="--opt-shape")
    largest: Shape | None = _shape("With --dynamic: largest input of an engine.", name="--max-shape")


def static_profile(batch: int, height: int, width: int, channels: int) -> Profile:
    """Return the profile of an engine that takes one shape."""
    shape = (batch, height, width, channels)
    return Profile(shape, shape, shape)


def dynamic_profile(
    shapes: Shapes, *, tile_px: int, batch: int, multiple_px: int, channels: int, gpu: Gpu | None
) -> Profile:
    """Return the profile of an engine that takes a range of shapes.

    By default the smallest is one tile of the network's stride, the best is `batch` tiles of `tile_px`, and
    the largest has twice that height and width; its batch is at least DESKTOP_BATCH on a GPU with its own
    memory, and `batch` on a Jetson, which shares the CPU's memory, or if the GPU is unknown. Each adapts to
    the ones that are named.

    Args:
        tile_px, batch: tile and batch that the engine is tuned for.
        multiple_px: the network's stride, of which all sides are multiples.
        gpu: that the engine is built for; None if unknown.

    Raises:
        UserError: a shape does not fit the network, or the three are out of order.
    """
    for name, shape in changed_options(shapes).items():
        _check(name, shape, multiple_px)
    most = max(batch, DESKTOP_BATCH) if gpu is not None and not gpu.integrated else batch
    best = shapes.best or _between(shapes.smallest, (batch, tile_px, tile_px), shapes.largest)
    smallest = shapes.smallest or (1, multiple_px, multiple_px)
    largest = shapes.largest or _between(best, (most, 2 * tile_px, 2 * tile_px), None)
    _check_order(("--min-shape", smallest), ("--opt-shape", best))
    _check_order(("--opt-shape", best), ("--max-shape", largest))
    return Profile((*smallest, channels), (*best, channels), (*largest, channels))


def _check(option: str, shape: Shape, multiple_px: int) -> None:
    batch, *sides = shape
    if batch < 1 or any(side < multiple_px or side % multiple_px for side in sides):
        raise UserError(
            f"{option} {_text(shape)} does not fit this network; name a batch of 1 or more, and a height and "
            f"width in multiples of {multiple_px}"
        )


def _between(low: Shape | None, shape: Shape, high: Shape | None) -> Shape:
    batch, height, width = (
        min(max(size, at_least), at_most)
        for size, at_least, at_most in zip(shape, low or shape, high or _UNBOUNDED, strict=True)
    )
    return batch, height, width


def _check_order(smaller: tuple[str, Shape], larger: tuple[str, Shape]) -> None:
    if any(a > b for a, b in zip(smaller[1], larger[1], strict=True)):
        raise UserError(
            f"{smaller[0]} {_text(smaller[1])} is larger than {larger[0]} {_text(larger[1])} in a dimension; "
            "name shapes with min ≤ opt ≤ max"
        )


def _text(shape: Shape) -> str:
    return "x".join(map(str, shape))
