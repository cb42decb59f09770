"""Dark frames: what is subtracted of them, and what they must be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from n2b.runtime.errors import ImageError, UserError
from n2b.runtime.images.dark import FEW_FRAMES, DarkFrame, read_dark_frames
from n2b.runtime.images.image import Image, write_image

BLACK = 16  # level
PATTERN = np.zeros((6, 8, 3), np.int32)
PATTERN[2] = 5  # a bright row
PATTERN[4, 3] = 200  # a hot pixel
PATTERN[0, :, 1] = -7


def save(folder: Path, frames: list[np.ndarray], suffix: str = ".png") -> list[Path]:
    paths = [folder / f"{number}{suffix}" for number in range(len(frames))]
    for path, pixels in zip(paths, frames, strict=True):
        write_image(path, Image(pixels))
    return paths


def dark_frames(count: int = FEW_FRAMES, dtype: str = "uint8", scale: int = 1) -> list[np.ndarray]:
    """Return frames whose mean is exactly black level and pattern, times `scale`."""
    frames = []
    for number in range(count):
        noise = (1, -1)[number % 2] if count > 1 else 0
        frames.append((scale * (BLACK + PATTERN) + noise).astype(dtype))
    return frames


def test_the_mean_minus_its_median_is_subtracted(tmp_path):
    dark = read_dark_frames(save(tmp_path, dark_frames()))
    np.testing.assert_array_equal(dark.pattern, PATTERN.astype(np.float32))
    assert (dark.count, dark.dtype, dark.pattern.dtype) == (FEW_FRAMES, np.uint8, np.float32)
    image = np.full((6, 8, 3), 40, np.uint8)
    np.testing.assert_array_equal(dark.subtract((image + PATTERN).astype(np.uint8)), image)


def test_the_black_level_of_each_channel_stays(tmp_path):
    levels = np.array([10, 20, 30])
    (path,) = save(tmp_path, [(PATTERN + levels).astype(np.uint8)])
    with_levels = np.full((6, 8, 3), 90) + levels + PATTERN
    result = read_dark_frames([path]).subtract(with_levels.clip(0, 255).astype(np.uint8))
    result = np.delete(result.reshape(-1, 3), 4 * 8 + 3, axis=0)  # the hot pixel was clipped
    np.testing.assert_array_equal(result, np.broadcast_to(90 + levels, result.shape))


def test_integers_are_clipped_and_rounded_and_floats_are_not():
    pattern = np.array([[[10.0], [-10.0], [0.6], [-0.4]]], np.float32)
    for dtype, most in (("uint8", 255), ("uint16", 65535)):
        dark = DarkFrame(pattern, np.dtype(dtype), 1)
        result = dark.subtract(np.array([[[5], [most], [7], [7]]], dtype))
        assert result.dtype == dtype and result.ravel().tolist() == [0, most, 6, 7]
    result = DarkFrame(pattern / 255, np.dtype("float32"), 1).subtract(np.zeros((1, 4, 1), np.float32))
    np.testing.assert_array_equal(result, -pattern / 255)


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_deep_images_keep_their_levels(tmp_path, dtype):
    scale = 16 if dtype == "uint16" else 1
    frames = [
        (frame / (1 if dtype == "uint16" else 4095)).astype(dtype)
        for frame in dark_frames(8, "float64", scale)
    ]
    dark = read_dark_frames(save(tmp_path, frames, ".tif"))
    image = np.random.default_rng(0).integers(8 * scale, 90 * scale, (6, 8, 3))
    noisy = (image + scale * PATTERN) / (1 if dtype == "uint16" else 4095)
    result = dark.subtract(noisy.astype(dtype))
    assert result.dtype == dtype
    np.testing.assert_allclose(result * (1 if dtype == "uint16" else 4095), image, atol=0.01)


def test_grey_dark_frames_fit_colour_images_and_alpha_stays():
    dark = DarkFrame(np.full((2, 2, 1), 3, np.float32), np.dtype("uint8"), 1)
    rgba = np.full((2, 2, 4), 50, np.uint8)
    np.testing.assert_array_equal(dark.subtract(rgba)[0, 0], [47, 47, 47, 50])


def test_rows_of_an_image_get_their_rows_of_the_pattern():
    dark = DarkFrame(PATTERN.astype(np.float32), np.dtype("uint8"), 1)
    image = np.full(PATTERN.shape, 50, np.uint8)
    whole = dark.subtract(image)
    np.testing.assert_array_equal(dark.subtract_rows(image[2:5], 2), whole[2:5])


def test_the_hash_tells_dark_frames_apart():
    one, same, other = (
        DarkFrame((PATTERN * factor).astype(np.float32), np.dtype("uint8"), 1) for factor in (1, 1, 2)
    )
    assert one.sha256 == same.sha256 != other.sha256


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (np.zeros((6, 8, 3), np.uint16), "x.png is uint16 and the dark frames are uint8"),
        (np.zeros((8, 6, 3), np.uint8), "x.png has 6×8 px and the dark frames have 8×6 px"),
        (np.zeros((6, 8, 1), np.uint8), "x.png is grey and the dark frames have colours"),
    ],
)
def test_an_image_of_another_kind_is_refused(pixels, reason):
    dark = DarkFrame(PATTERN.astype(np.float32), np.dtype("uint8"), 1)
    with pytest.raises(ImageError, match=reason):
        dark.subtract(pixels, "x.png")


def test_dark_frames_are_of_one_size_and_depth(tmp_path):
    paths = save(tmp_path, [*dark_frames(2), np.full((6, 8, 3), 9, np.uint16)])
    with pytest.raises(
        ImageError, match=r"2\.png has 8×6 px of colour uint16, and .*0\.png has .* colour uint8"
    ):
        read_dark_frames(paths)


def test_what_is_no_dark_frame_is_refused(tmp_path):
    bright, constant = save(tmp_path, [np.full((6, 8, 3), 90, np.uint8), np.full((6, 8, 3), 16, np.uint8)])
    with pytest.raises(UserError, match=r"0\.png is no dark frame: .* exceed 35% of white; cover the lens"):
        read_dark_frames([bright])
    with pytest.raises(UserError, match="there is no pattern to subtract"):
        read_dark_frames([constant])


def test_few_frames_are_reported(tmp_path, caplog):
    paths = save(tmp_path, dark_frames(FEW_FRAMES))
    read_dark_frames(paths)
    assert not caplog.records
    read_dark_frames(paths[:3])
    assert "only 3 dark frames" in caplog.text
