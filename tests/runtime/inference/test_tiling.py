"""Tiled results equal whole-image results for any image size, tile and sufficient halo."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from n2b.runtime.errors import UserError
from n2b.runtime.inference.tiling import (
    TilePlan,
    choose_tile_hw,
    choose_tile_px,
    extract,
    keep,
    plan_tiles,
    smallest_tile_px,
    stitch,
)

STRIDE = 4
RADIUS = 3 + STRIDE * 2 + (STRIDE - 1)  # of `network`, computed as for the real one


def box_sum(x: np.ndarray, radius: int) -> np.ndarray:
    """Sum over (2 radius + 1)² px, zeros outside, as a convolution pads; exact in integers."""
    for axis in (0, 1):
        padding = [(radius + 1, radius) if a == axis else (0, 0) for a in range(x.ndim)]
        total = np.cumsum(np.pad(x, padding), axis=axis)
        length = x.shape[axis]
        window = 2 * radius + 1
        x = np.take(total, range(window, window + length), axis) - np.take(total, range(length), axis)
    return x


def network(x: np.ndarray) -> np.ndarray:
    """A small U-Net in integers: filter, max pooling, filter below, upsampling, sum with the input."""
    height, width, channels = x.shape
    assert height % STRIDE == 0 and width % STRIDE == 0
    x = x.astype(np.int64)
    features = box_sum(x, 3)
    pooled = features.reshape(height // STRIDE, STRIDE, width // STRIDE, STRIDE, channels).max(axis=(1, 3))
    below = box_sum(pooled, 2)
    return below.repeat(STRIDE, 0).repeat(STRIDE, 1) % 1009 + 3 * x


def run_whole(image: np.ndarray, canvas_hw: tuple[int, int]) -> np.ndarray:
    height, width = image.shape[:2]
    padding = ((0, canvas_hw[0] - height), (0, canvas_hw[1] - width), (0, 0))
    return network(np.pad(image, padding, mode="edge"))[:height, :width]


def run_tiled(image: np.ndarray, plan: TilePlan) -> np.ndarray:
    result = np.full(image.shape, -1, np.int64)
    for tile in plan.tiles:
        source = extract(image, tile)
        assert source.shape[:2] == plan.tile_hw
        stitch(keep(network(source), tile), tile, result)
    return result


def random_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


multiples = st.sampled_from([1, 2, 8, 32])


@st.composite
def cuttings(draw: st.DrawFn) -> dict[str, Any]:
    """Arguments of plan_tiles: images up to 4000 px, at most about 60 tiles along an axis."""
    length = st.integers(1, 4000) | st.integers(1, 60)
    height, width = draw(length), draw(length)
    halo, multiple = draw(st.integers(0, 40)), draw(multiples)
    smallest = smallest_tile_px(halo, multiple)
    tile = []
    for side in (height, width):
        steps = draw(st.integers(side // (60 * multiple), max(side, 60) // multiple + 1))
        tile.append(smallest + steps * multiple)
    fixed = draw(st.booleans())
    return {
        "height": height, "width": width, "tile_px": tuple(tile), "halo_px": halo,
        "multiple_px": multiple, "fixed": fixed,
    }  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(cuttings())
def test_every_pixel_is_written_exactly_once(cutting):
    plan = plan_tiles(**cutting)
    # the plan is a grid: its rows, and its columns, must follow one another without gap or overlap
    rows = sorted({(t.target.top, t.target.bottom) for t in plan.tiles})
    columns = sorted({(t.target.left, t.target.right) for t in plan.tiles})
    assert [start for start, _ in rows] == [0, *(end for _, end in rows[:-1])]
    assert [start for start, _ in columns] == [0, *(end for _, end in columns[:-1])]
    assert (rows[-1][1], columns[-1][1]) == (cutting["height"], cutting["width"])
    assert len(plan.tiles) == len(rows) * len(columns)
    corners = {(t.target.top, t.target.left) for t in plan.tiles}
    assert corners == {(top, left) for top, _ in rows for left, _ in columns}


@settings(max_examples=200, deadline=None)
@given(cuttings())
def test_tiles_lie_inside_the_canvas_on_the_grid_with_their_halo(cutting):
    plan = plan_tiles(**cutting)
    halo, multiple = cutting["halo_px"], cutting["multiple_px"]
    canvas_height, canvas_width = plan.canvas_hw
    assert canvas_height % multiple == canvas_width % multiple == 0
    if cutting["fixed"]:
        assert plan.tile_hw == cutting["tile_px"]
    else:
        assert plan.tile_hw[0] <= cutting["tile_px"][0] and plan.tile_hw[1] <= cutting["tile_px"][1]
        assert canvas_height - cutting["height"] < multiple and canvas_width - cutting["width"] < multiple
    for tile in plan.tiles:
        source, keep, target = tile.source, tile.keep, tile.target
        assert (source.height, source.width) == plan.tile_hw
        assert (keep.height, keep.width) == (target.height, target.width)
        assert keep.height > 0 and keep.width > 0
        assert (source.top + keep.top, source.left + keep.left) == (target.top, target.left)
        assert source.top % multiple == source.left % multiple == 0
        assert source.top >= 0 and source.bottom <= canvas_height
        assert source.left >= 0 and source.right <= canvas_width
        assert keep.top >= halo or source.top == 0
        assert keep.left >= halo or source.left == 0
        assert source.height - keep.bottom >= halo or source.bottom == canvas_height
        assert source.width - keep.right >= halo or source.right == canvas_width


@st.composite
def exact_cuttings(draw: st.DrawFn) -> dict[str, Any]:
    """Arguments of plan_tiles for `network`, with a sufficient halo."""
    length, steps = st.integers(1, 150), st.integers(0, 12)
    halo = draw(st.integers(RADIUS, RADIUS + 6))
    tile = tuple(smallest_tile_px(halo, STRIDE) + draw(steps) * STRIDE for _ in range(2))
    return {
        "height": draw(length), "width": draw(length), "tile_px": tile, "halo_px": halo,
        "multiple_px": STRIDE, "fixed": draw(st.booleans()),
    }  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(exact_cuttings(), st.integers(0, 9))
def test_tiled_equals_whole_with_the_exact_halo(cutting, seed):
    image = random_image(cutting["height"], cutting["width"], seed)
    plan = plan_tiles(**cutting)
    np.testing.assert_array_equal(run_tiled(image, plan), run_whole(image, plan.canvas_hw))


@pytest.mark.parametrize(("height", "width"), [(3001, 37), (29, 2500), (1, 4099), (1200, 1111)])
def test_tiled_equals_whole_on_long_images(height, width):
    image = random_image(height, width)
    plan = plan_tiles(height, width, tile_px=64, halo_px=RADIUS, multiple_px=STRIDE)
    assert len(plan.tiles) > 40
    np.testing.assert_array_equal(run_tiled(image, plan), run_whole(image, plan.canvas_hw))


def test_a_halo_below_the_receptive_radius_changes_the_result():
    image = random_image(200, 200)
    plan = plan_tiles(200, 200, tile_px=32, halo_px=STRIDE, multiple_px=STRIDE)
    assert (run_tiled(image, plan) != run_whole(image, plan.canvas_hw)).any()


def test_whole_image_is_one_tile_over_the_canvas():
    plan = plan_tiles(33, 64, tile_px=0, halo_px=160, multiple_px=32)
    assert plan.canvas_hw == plan.tile_hw == (64, 64)
    assert len(plan.tiles) == 1


def test_the_canvas_is_at_least_as_large_as_a_fixed_tile():
    plan = plan_tiles(33, 300, tile_px=256, halo_px=32, multiple_px=32, fixed=True)
    assert plan.canvas_hw == (256, 320)
    assert plan.tile_hw == (256, 256)


def test_tiles_shrink_as_far_as_their_number_allows():
    plan = plan_tiles(1000, 1000, tile_px=960, halo_px=32, multiple_px=32)
    assert len(plan.tiles) == 4
    assert plan.tile_hw == (544, 544)


@settings(max_examples=100, deadline=None)
@given(cuttings())
def test_shaped_tiles_compute_no_more_than_square_ones_of_as_many_pixels(cutting):
    side = max(cutting["tile_px"])
    size = {name: cutting[name] for name in ("height", "width", "halo_px", "multiple_px")}
    square = plan_tiles(**size, tile_px=side)
    chosen = choose_tile_hw(**size, max_px=side * side)
    assert chosen is not None and chosen[0] * chosen[1] <= side * side
    plan = plan_tiles(**size, tile_px=chosen)
    assert plan.tile_hw == chosen
    assert plan.computed_px <= square.computed_px


def test_an_image_with_no_more_pixels_than_a_tile_is_one_tile():
    assert choose_tile_hw(816, 1224, max_px=1056**2, halo_px=48, multiple_px=32) == (832, 1248)
    assert choose_tile_hw(816, 1224, max_px=1000, halo_px=48, multiple_px=32) is None


def test_inner_tiles_are_views_and_border_tiles_repeat_the_edge():
    image = random_image(70, 70)
    plan = plan_tiles(70, 70, tile_px=32, halo_px=4, multiple_px=4)
    first, last = plan.tiles[0], plan.tiles[-1]
    assert np.shares_memory(extract(image, first), image)
    padded = extract(image, last)
    assert not np.shares_memory(padded, image)
    np.testing.assert_array_equal(padded[-1, : -(72 - 70)], image[-1, last.source.left :])


def test_the_error_for_a_small_tile_names_one_that_fits():
    with pytest.raises(UserError, match=r"at least 352 px"):
        plan_tiles(1000, 1000, tile_px=320, halo_px=160, multiple_px=32)
    assert plan_tiles(1000, 1000, tile_px=352, halo_px=160, multiple_px=32).tile_hw == (352, 352)


@pytest.mark.parametrize(
    "sizes", [{"height": 0}, {"width": -1}, {"halo_px": -1}, {"multiple_px": 0}, {"tile_px": 33}]
)
def test_invalid_sizes_are_refused(sizes):
    with pytest.raises(ValueError):
        plan_tiles(**{"height": 100, "width": 100, "tile_px": 64, "halo_px": 4, "multiple_px": 32, **sizes})


@given(st.floats(1e6, 1e10), st.floats(100, 5000), st.integers(0, 200), multiples)
def test_the_chosen_tile_is_the_largest_within_the_budget(budget, bytes_per_px, halo, multiple):
    try:
        side = choose_tile_px(budget, bytes_per_px, halo_px=halo, multiple_px=multiple)
    except UserError as error:
        assert smallest_tile_px(halo, multiple) ** 2 * bytes_per_px > budget - bytes_per_px
        assert "--max-memory" in str(error)
        return
    assert side % multiple == 0 and side >= smallest_tile_px(halo, multiple)
    assert side**2 * bytes_per_px <= budget < (side + multiple) ** 2 * bytes_per_px + bytes_per_px
