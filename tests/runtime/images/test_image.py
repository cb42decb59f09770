"""Reading and writing images: what goes in comes out."""

import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from n2b.runtime.errors import ImageError
from n2b.runtime.images.convert import from_float, to_float
from n2b.runtime.images.image import IMAGE_SUFFIXES, Image, read_image, write_image

from ..fakes.images import GREY_PROFILE, RGB_PROFILE, make_exif, random_pixels, read_tags

LOSSLESS = {
    "uint8": (".png", ".tif", ".webp", ".bmp"),
    "uint16": (".png", ".tiff"),
    "float32": (".tif",),
}


@st.composite
def images(draw):
    """(image, a suffix that holds it without loss)"""
    dtype = draw(st.sampled_from(sorted(LOSSLESS)))
    channels = draw(st.sampled_from([1, 3]))
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    seed = draw(st.integers(0, 999))
    suffix = draw(st.sampled_from(LOSSLESS[dtype]))
    holds_more = suffix != ".bmp"
    alpha = None
    if holds_more and draw(st.booleans()):
        alpha = random_pixels(height, width, 1, dtype, seed + 1)[:, :, 0]
    profile = GREY_PROFILE if channels == 1 else RGB_PROFILE
    return (
        Image(
            random_pixels(height, width, channels, dtype, seed),
            alpha,
            profile if holds_more and draw(st.booleans()) else None,
            make_exif() if holds_more and draw(st.booleans()) else None,
        ),
        suffix,
    )


@settings(max_examples=150, deadline=None)
@given(images())
def test_what_is_written_is_read_back(case):
    image, suffix = case
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "image" + suffix)
        write_image(path, image)
        back = read_image(path)
        assert [file.name for file in Path(folder).iterdir()] == [path.name]
    expected = image.pixels
    becomes_rgb = suffix == ".webp" or (suffix in (".tif", ".tiff") and image.alpha is not None)
    if becomes_rgb and expected.shape[2] == 1:
        expected = np.repeat(expected, 3, axis=2)
    assert (back.pixels.dtype, back.pixels.shape) == (expected.dtype, expected.shape)
    assert (back.alpha is None) == (image.alpha is None)
    if image.alpha is not None:
        assert back.alpha is not None
        assert np.array_equal(back.alpha, image.alpha)
    compared = image.alpha > 0 if suffix == ".webp" and image.alpha is not None else ...
    assert np.array_equal(back.pixels[compared], expected[compared])
    assert back.pixels.flags.c_contiguous
    if not (becomes_rgb and image.icc_profile == GREY_PROFILE):
        assert back.icc_profile == image.icc_profile
    if image.exif is None:
        assert back.exif is None
    else:
        assert back.exif is not None
        assert read_tags(back.exif) == read_tags(image.exif)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_keeps_a_smooth_picture_and_its_metadata(tmp_path, channels):
    ramp = np.mgrid[:60, :90].sum(axis=0, dtype=np.uint8)
    image = np.stack([ramp, 255 - ramp, ramp // 2][:channels], axis=2)
    profile = GREY_PROFILE if channels == 1 else RGB_PROFILE
    write_image(tmp_path / "a.JPG", Image(image, icc_profile=profile, exif=make_exif()))
    back = read_image(tmp_path / "a.JPG")
    assert back.pixels.shape == image.shape
    assert np.abs(back.pixels.astype(int) - image).mean() < 2
    assert back.icc_profile == profile
    assert back.exif == make_exif()


def test_jpeg_quality_decides_the_size(tmp_path):
    image = Image(random_pixels(64, 64, 3, "uint8"))
    write_image(tmp_path / "low.jpg", image, jpeg_quality=20)
    write_image(tmp_path / "high.jpg", image, jpeg_quality=95)
    assert (tmp_path / "low.jpg").stat().st_size < (tmp_path / "high.jpg").stat().st_size / 2


def test_an_orientation_that_a_caller_left_in_is_not_written(tmp_path):
    pixels = random_pixels(4, 6, 3, "uint8")
    for suffix in (".png", ".tif", ".webp", ".jpg"):
        write_image(tmp_path / f"a{suffix}", Image(pixels, exif=make_exif(orientation=6)))
        assert read_image(tmp_path / f"a{suffix}").pixels.shape == pixels.shape


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_bytes_after_the_end_of_an_image_do_no_harm(tmp_path, suffix):
    write_image(tmp_path / f"a{suffix}", Image(random_pixels(40, 60, 3, "uint8")))
    before = read_image(tmp_path / f"a{suffix}").pixels
    with open(tmp_path / f"a{suffix}", "ab") as file:
        file.write(b"what a telephone adds" * 9)
    assert np.array_equal(read_image(tmp_path / f"a{suffix}").pixels, before)


@pytest.mark.parametrize("name", ["Grüße 写真.png", "写真.jpg", "ünïcode.tif", "not-utf8-\udcff.png"])
def test_names_may_hold_any_character(tmp_path, name):
    try:
        (tmp_path / name).touch()
    except OSError:
        pytest.skip("this file system does not take such names")
    write_image(tmp_path / name, Image(random_pixels(8, 8, 3, "uint8")))
    assert read_image(tmp_path / name).pixels.shape == (8, 8, 3)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_writing_makes_no_copy_of_the_pixels(tmp_path, suffix, dtype):
    pixels = random_pixels(2000, 2000, 3, dtype)
    tracemalloc.start()
    write_image(tmp_path / f"a{suffix}", Image(pixels))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < pixels.nbytes


def test_views_of_other_arrays_are_written_as_they_look(tmp_path):
    whole = random_pixels(40, 60, 3, "uint8")
    for suffix in (".png", ".tif", ".bmp", ".webp"):
        for view in (whole[::2, ::-1], whole[5:20, 7:30], whole.swapaxes(0, 1), whole[:, :, :1]):
            write_image(tmp_path / f"a{suffix}", Image(view))
            assert np.array_equal(read_image(tmp_path / f"a{suffix}").pixels[:, :, : view.shape[2]], view)


def test_an_image_says_what_is_wrong_with_its_arrays():
    grey = np.zeros((4, 5, 1), np.uint8)
    for pixels in (
        grey[:, :, 0],
        np.zeros((4, 5, 2), np.uint8),
        grey[:0],
        grey.astype(np.float64),
        grey.astype(">u2"),
    ):
        with pytest.raises(ImageError, match="an image has the"):
            Image(pixels)
    for alpha in (grey, grey[:3, :, 0], grey[:, :, 0].astype(np.uint16)):
        with pytest.raises(ImageError, match="alpha has the"):
            Image(grey, alpha)


def test_other_pixels_keep_what_travels_with_them():
    image = Image(random_pixels(4, 5, 3, "uint8"), np.ones((4, 5), np.uint8), RGB_PROFILE, make_exif())
    other = image.with_pixels(image.pixels // 2)
    assert np.array_equal(other.pixels, image.pixels // 2)
    assert (other.alpha is image.alpha, other.icc_profile, other.exif) == (
        True,
        image.icc_profile,
        image.exif,
    )


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_every_level_survives_the_way_through_float(dtype):
    levels = np.arange(np.iinfo(dtype).max + 1, dtype=dtype)
    as_float = to_float(levels)
    assert as_float.dtype == np.float32
    assert (as_float.min(), as_float.max()) == (0, 1)
    assert np.array_equal(from_float(as_float, dtype), levels)


def test_from_float_clips_and_rounds():
    values = np.array([-1, 0.499 / 255, 0.501 / 255, 2], np.float32)
    assert from_float(values, np.uint8).tolist() == [0, 0, 1, 255]
    assert from_float(values, np.float32) is values
