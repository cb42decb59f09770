from __future__ import annotations

from typing import Any

import pytest
from n2b.export.tensorrt.profile import Profile, Shapes, dynamic_profile, parse_shape, static_profile
from n2b.runtime.errors import UserError
from n2b.runtime.system.gpu import Gpu

JETSON, DESKTOP = Gpu("Orin", "8.7", integrated=True), Gpu("RTX 4090", "8.9")


def profile(shapes: Shapes | None = None, **changes: Any) -> Profile:
    settings: dict[str, Any] = {"tile_px": 512, "batch": 1, "multiple_px": 32, "channels": 3, "gpu": None}
    return dynamic_profile(shapes or Shapes(), **{**settings, **changes})


def test_a_static_profile_is_one_shape() -> None:
    static = static_profile(2, 64, 96, 3)
    assert static == Profile((2, 64, 96, 3), (2, 64, 96, 3), (2, 64, 96, 3))


@pytest.mark.parametrize("gpu", [None, JETSON], ids=["unknown", "Jetson"])
def test_a_gpu_that_is_unknown_or_shares_its_memory_gets_the_batch_alone(gpu: Gpu | None) -> None:
    assert profile(gpu=gpu) == Profile((1, 32, 32, 3), (1, 512, 512, 3), (1, 1024, 1024, 3))
    assert profile(gpu=gpu, batch=6).largest == (6, 1024, 1024, 3)


def test_a_gpu_with_memory_of_its_own_takes_several_tiles() -> None:
    assert profile(gpu=DESKTOP) == Profile((1, 32, 32, 3), (1, 512, 512, 3), (4, 1024, 1024, 3))
    assert profile(gpu=DESKTOP, batch=6).largest == (6, 1024, 1024, 3)


def test_what_is_named_is_taken() -> None:
    shapes = Shapes((1, 64, 64), (2, 128, 192), (3, 256, 256))
    assert profile(shapes) == Profile((1, 64, 64, 3), (2, 128, 192, 3), (3, 256, 256, 3))


def test_what_is_not_named_makes_room() -> None:
    assert profile(Shapes(largest=(2, 256, 128))).best == (1, 256, 128, 3)
    assert profile(Shapes(best=(8, 2048, 256))).largest == (8, 2048, 1024, 3)
    above = profile(Shapes(smallest=(2, 2048, 64)))
    assert (above.best, above.largest) == ((2, 2048, 512, 3), (2, 2048, 1024, 3))


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        (Shapes(smallest=(1, 60, 64)), r"--min-shape 1x60x64 does not fit .* multiples of 32"),
        (Shapes(best=(1, 64, 0)), r"--opt-shape 1x64x0 does not fit"),
        (Shapes(largest=(0, 64, 64)), r"--max-shape 0x64x64 does not fit .* batch of 1 or more"),
        (Shapes(smallest=(2, 64, 64), best=(1, 64, 64)), r"--min-shape 2x64x64 is larger than --opt-shape"),
        (Shapes(best=(1, 64, 128), largest=(4, 256, 64)), r"--opt-shape 1x64x128 is larger than --max-shape"),
        (Shapes(smallest=(1, 128, 64), largest=(1, 64, 128)), r"is larger than .* min ≤ opt ≤ max"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(shapes: Shapes, words: str) -> None:
    with pytest.raises(UserError, match=words):
        profile(shapes)


def test_a_shape_is_read_from_text() -> None:
    assert parse_shape("1x256x512", "--min-shape") == (1, 256, 512)
    assert parse_shape("2×32X64", "--min-shape") == (2, 32, 64)


@pytest.mark.parametrize("text", ["", "256", "256x256", "1x256x256x3", "1x-256x256", "axbxc", "1x2.5x3"])
def test_another_text_is_no_shape(text: str) -> None:
    with pytest.raises(UserError, match=rf"--max-shape takes a shape as NxHxW, .* not '{text}'"):
        parse_shape(text, "--max-shape")
