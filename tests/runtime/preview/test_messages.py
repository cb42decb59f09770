"""Frames as bytes for a browser."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from n2b.runtime.preview.messages import (
    PAIR,
    SNAPSHOT,
    Pair,
    pair_message,
    pair_noise,
    shared_width_px,
    snapshot_message,
)

from .conftest import decoded

RANDOM = np.random.default_rng(0)


def parts(message: bytes) -> tuple[int, int, bytes, bytes]:
    kind, number, length = struct.unpack(">BII", message[:9])
    return kind, number, message[9 : 9 + length], message[9 + length :]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_pair_is_both_pictures_of_one_frame(channels):
    before = np.full((30, 40, channels), [200, 100, 50][:channels], np.uint8)
    kind, number, first, second = parts(pair_message(Pair(7, before, 255 - before), 480))
    assert (kind, number) == (PAIR, 7)
    order = slice(None, None, -1)  # OpenCV's is BGR
    for data, pixels in ((first, before), (second, 255 - before)):
        assert data.startswith(b"\xff\xd8")
        shown = np.atleast_3d(decoded(data)).astype(int)
        assert np.abs(shown[..., order] - pixels).max() <= 3


@pytest.mark.parametrize(
    "wanted, size", [(480, (360, 480)), (960, (720, 960)), (1440, (750, 1000)), (1920, (750, 1000))]
)
def test_it_is_made_smaller_and_never_larger(wanted, size):
    pair = Pair(0, np.zeros((750, 1000, 3), np.uint8), np.zeros((750, 1000, 3), np.uint8))
    _, _, first, second = parts(pair_message(pair, wanted))
    assert decoded(first).shape[:2] == decoded(second).shape[:2] == size


def test_viewers_of_about_the_same_width_share_a_size():
    assert [shared_width_px(width) for width in (1, 480, 481, 1000, 5000)] == [480, 480, 960, 1440, 1920]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_snapshot_is_the_denoised_picture_bit_for_bit(channels):
    after = RANDOM.integers(0, 256, (25, 31, channels), np.uint8)
    kind, number, png, rest = parts(snapshot_message(Pair(2**32 + 5, np.zeros_like(after), after)))
    assert (kind, number, rest) == (SNAPSHOT, 5, b"")
    assert np.array_equal(np.atleast_3d(decoded(png))[..., ::-1], after)


def test_deeper_pictures_are_shown_in_eight_bits():
    after = np.full((8, 8, 1), 30000, np.uint16)
    _, _, png, _ = parts(snapshot_message(Pair(0, after, after)))
    assert decoded(png).dtype == np.uint8
    assert decoded(png)[0, 0] == round(30000 / 257)


def test_noise_is_that_of_the_pictures_in_grey_levels():
    smooth = np.full((400, 2000, 3), 120.0)
    noisy = np.rint(smooth + RANDOM.normal(0, 20, smooth.shape)).astype(np.uint8)
    before, after = pair_noise(Pair(0, noisy, smooth.astype(np.uint8))) or (0, 1)
    assert before == pytest.approx(20, rel=0.05)
    assert after == 0


def test_pictures_too_small_for_it_have_no_noise_figure():
    tiny = np.zeros((2, 9, 3), np.uint8)
    assert pair_noise(Pair(0, tiny, tiny)) is None
