"""An image that cannot be read or written whole ends in one line, and leaves nothing behind."""

import subprocess
import sys

import cv2
import numpy as np
import PIL.Image
import pytest
import tifffile
from n2b.runtime.errors import ImageError, UserError
from n2b.runtime.images.image import IMAGE_SUFFIXES, Image, read_image, write_image

from ..fakes.images import GREY_PROFILE, RGB_PROFILE, make_exif, random_pixels


def _save_as(path, kind):
    rgb = PIL.Image.fromarray(random_pixels(20, 30, 3, "uint8"))
    arrays = {"float16": np.float16, "float64": np.float64, "int16": np.int16, "uint32": np.uint32}
    if kind in arrays:
        tifffile.imwrite(path, np.ones((20, 30, 3), arrays[kind]), photometric="rgb")
    elif kind == "grey with alpha":
        tifffile.imwrite(path, np.ones((20, 30, 2), np.uint8), photometric="minisblack", extrasamples=[2])
    elif kind == "planes":
        tifffile.imwrite(path, np.ones((3, 20, 30), np.uint16), photometric="rgb", planarconfig="separate")
    else:
        rgb.convert(kind).save(path)


@pytest.mark.parametrize("name, words", [
    ("CMYK.tif", "convert it to RGB"), ("LAB.tif", "convert it to RGB"), ("CMYK.jpg", "convert it to RGB"),
    ("float16.tif", "16-bit floating-point"), ("float64.tif", "64-bit floating-point"),
    ("int16.tif", "16-bit signed"), ("uint32.tif", "32-bit unsigned"), ("grey with alpha.tif", "2 channels"),
    ("planes.tif", "separate planes"),
])  # fmt: skip
def test_what_would_be_misread_is_refused(tmp_path, name, words):
    _save_as(tmp_path / name, name.split(".")[0])
    with pytest.raises(ImageError, match=words) as caught:
        read_image(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "WEBP"])
def test_of_several_pictures_the_first_is_read_with_a_warning(tmp_path, format_, caplog):
    first, second = (PIL.Image.fromarray(random_pixels(20, 30, 3, "uint8", seed)) for seed in (0, 1))
    path = tmp_path / f"a.{format_.lower()}"
    first.save(
        path,
        format_,
        save_all=True,
        append_images=[second],
        **({"lossless": True} if format_ == "WEBP" else {}),
    )
    try:
        image = read_image(path)
    except ImageError:
        assert format_ == "WEBP"  # OpenCV before 4.11 reads no animation
        assert int(cv2.__version__.split(".")[0]) == 4
        return
    assert np.array_equal(image.pixels, np.asarray(first))
    assert caplog.text.count("only the first is read") == 1


def test_transparency_that_cannot_be_kept_is_told(tmp_path, caplog):
    grey = PIL.Image.fromarray(random_pixels(20, 30, 1, "uint8")[:, :, 0])
    grey.save(tmp_path / "a.png", transparency=17)
    assert np.array_equal(read_image(tmp_path / "a.png").pixels[:, :, 0], np.asarray(grey))
    assert "transparent colour" in caplog.text


def test_missing_empty_and_foreign_files_are_refused(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("no image at all")
    for name, words in {
        "missing.png": "No such file",
        "empty.png": "is empty",
        "text.jpg": "is not a PNG, JPEG, TIFF, WebP or BMP image",
        ".": "is a folder",
    }.items():
        with pytest.raises(ImageError, match=words) as caught:
            read_image(tmp_path / name)
        assert str(tmp_path) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_a_file_that_was_cut_short_is_refused_wherever_it_was_cut(tmp_path, suffix):
    write_image(tmp_path / f"whole{suffix}", Image(random_pixels(40, 60, 3, "uint8")))
    data = (tmp_path / f"whole{suffix}").read_bytes()
    for length in {1, 2, 3, 8, 12, 20, 30, 60, *range(100, len(data), len(data) // 12), len(data) - 2}:
        (tmp_path / f"cut{suffix}").write_bytes(data[:length])
        with pytest.raises(ImageError):
            read_image(tmp_path / f"cut{suffix}")


def test_damaged_pixels_end_in_one_line_and_libraries_stay_silent(tmp_path):
    write_image(tmp_path / "a.png", Image(random_pixels(40, 60, 3, "uint8")))
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "a.png").write_bytes(data)
    program = f"from n2b.runtime.images.image import read_image\nread_image({str(tmp_path / 'a.png')!r})"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    last = run.stderr.splitlines()[-1]
    assert run.stderr.startswith("Traceback")
    assert last.startswith("n2b.runtime.errors.ImageError")
    assert "is damaged" in last


def test_an_image_larger_than_opencv_decodes_says_how_to_allow_it(tmp_path):
    write_image(tmp_path / "a.png", Image(random_pixels(40, 60, 3, "uint8")))
    program = f"""
import os
os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = "1000"
from n2b.runtime.errors import ImageError
from n2b.runtime.images.image import read_image
try:
    read_image({str(tmp_path / "a.png")!r})
except ImageError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "set OPENCV_IO_MAX_IMAGE_PIXELS" in run.stdout
    assert run.stdout.count("\n") == 1
    assert run.stderr == ""


@pytest.mark.parametrize("suffix, dtype, has_alpha, words", [
    (".jpg", "uint16", False, "JPEG cannot hold 16-bit samples; write .png, .tif, .tiff"),
    (".webp", "uint16", True, "WebP cannot hold 16-bit samples; write .png, .tif, .tiff"),
    (".bmp", "uint8", True, "BMP cannot hold transparency; write .png, .tif, .tiff, .webp"),
    (".jpeg", "uint8", True, "JPEG cannot hold transparency; write .png, .tif, .tiff, .webp"),
    (".png", "float32", False, "PNG cannot hold floating-point samples; write .tif, .tiff"),
    (".jpg", "float32", True, "JPEG cannot hold floating-point samples or transparency; write .tif, .tiff"),
    (".gif", "uint8", False, "no image format has this suffix; use .png"),
    ("", "uint8", False, "no image format has this suffix; use .png"),
])  # fmt: skip
def test_what_a_format_cannot_hold_is_refused_and_nothing_written(tmp_path, suffix, dtype, has_alpha, words):
    pixels = random_pixels(5, 5, 3, dtype)
    with pytest.raises(ImageError, match=words):
        write_image(tmp_path / f"a{suffix}", Image(pixels, pixels[:, :, 0] if has_alpha else None))
    assert not list(tmp_path.iterdir())


def test_a_size_that_a_format_cannot_hold_is_refused(tmp_path):
    with pytest.raises(ImageError, match=r"WebP cannot hold more than 16383 px a side; write \.png, \.jpg"):
        write_image(tmp_path / "a.webp", Image(np.zeros((1, 16384, 3), np.uint8)))
    with pytest.raises(ImageError, match=r"JPEG cannot hold more than 65500 px a side; write \.png, \.tif"):
        write_image(tmp_path / "a.jpg", Image(np.zeros((65501, 1, 1), np.uint8)))
    write_image(tmp_path / "a.jpg", Image(np.zeros((65500, 1, 1), np.uint8)))
    assert read_image(tmp_path / "a.jpg").pixels.shape == (65500, 1, 1)


def test_a_profile_too_large_for_jpeg_is_refused_and_the_old_file_stays(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"old")
    profile = RGB_PROFILE + bytes(255 * 65519)
    with pytest.raises(ImageError, match=r"colour profile of this size as JPEG; write .png or .tif"):
        write_image(path, Image(random_pixels(5, 5, 3, "uint8"), icc_profile=profile))
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write") as caught:
        write_image(tmp_path / "file" / "a.png", Image(random_pixels(5, 5, 3, "uint8")))
    assert "\n" not in str(caught.value)


def test_metadata_that_bmp_cannot_hold_is_told(tmp_path, caplog):
    write_image(tmp_path / "a.bmp", Image(random_pixels(5, 5, 3, "uint8"), exif=make_exif()))
    assert "BMP holds no EXIF block" in caplog.text


def test_a_profile_that_is_not_for_the_pixels_is_left_out_and_told(tmp_path, caplog):
    image = Image(random_pixels(5, 5, 1, "uint8"), icc_profile=GREY_PROFILE)
    write_image(tmp_path / "a.png", image.with_pixels(random_pixels(5, 5, 3, "uint8")))
    assert "colour profile does not fit" in caplog.text
    assert read_image(tmp_path / "a.png").icc_profile is None


@pytest.mark.parametrize("suffix, has_alpha", [(".webp", False), (".webp", True), (".tif", True)])
def test_a_profile_of_grey_is_not_put_into_a_file_that_becomes_rgb(tmp_path, suffix, has_alpha, caplog):
    pixels = random_pixels(5, 5, 1, "uint8")
    image = Image(pixels, pixels[:, :, 0] if has_alpha else None, GREY_PROFILE)
    write_image(tmp_path / f"a{suffix}", image)
    assert "colour profile does not fit" in caplog.text
    with PIL.Image.open(tmp_path / f"a{suffix}") as theirs:
        assert "icc_profile" not in theirs.info
