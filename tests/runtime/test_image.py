"""Reading and writing images: what goes in comes out, and what cannot be done says so in one line."""

import io
import subprocess
import sys
import tempfile
import tracemalloc
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from n2b.runtime.errors import ImageError, UserError
from n2b.runtime.image import IMAGE_SUFFIXES, Image, from_float, read_image, to_float, write_image

RNG = np.random.default_rng(7)
RGB_PROFILE = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
GREY_PROFILE = RGB_PROFILE[:16] + b"GRAY" + RGB_PROFILE[20:]
LOSSLESS = {
    "uint8": (".png", ".tif", ".webp", ".bmp"),
    "uint16": (".png", ".tiff"),
    "float32": (".tif",),
}


def _pixels(height, width, channels, dtype, seed=0):
    rng = np.random.default_rng(seed)
    if dtype == "float32":
        return rng.random((height, width, channels), np.float32)
    return rng.integers(0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True)


def _exif(**tags):
    block = PIL.Image.Exif()
    block[271] = tags.get("make", "a camera")
    block[274] = tags.get("orientation", 1)
    block.get_ifd(34665)[33434] = 0.125  # exposure time
    block.get_ifd(34853)[1] = "N"
    return block.tobytes().removeprefix(b"Exif\0\0")


def _tags(block):
    exif = PIL.Image.Exif()
    exif.load(b"Exif\0\0" + block)
    return exif[271], exif[274], float(exif.get_ifd(34665)[33434]), exif.get_ifd(34853)[1]


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
        alpha = _pixels(height, width, 1, dtype, seed + 1)[:, :, 0]
    profile = GREY_PROFILE if channels == 1 else RGB_PROFILE
    return (
        Image(
            _pixels(height, width, channels, dtype, seed),
            alpha,
            profile if holds_more and draw(st.booleans()) else None,
            _exif() if holds_more and draw(st.booleans()) else None,
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
        assert _tags(back.exif) == _tags(image.exif)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_keeps_a_smooth_picture_and_its_metadata(tmp_path, channels):
    ramp = np.mgrid[:60, :90].sum(axis=0, dtype=np.uint8)
    picture = np.stack([ramp, 255 - ramp, ramp // 2][:channels], axis=2)
    profile = GREY_PROFILE if channels == 1 else RGB_PROFILE
    write_image(tmp_path / "a.JPG", Image(picture, icc_profile=profile, exif=_exif()))
    back = read_image(tmp_path / "a.JPG")
    assert back.pixels.shape == picture.shape
    assert np.abs(back.pixels.astype(int) - picture).mean() < 2
    assert back.icc_profile == profile
    assert back.exif == _exif()


def test_jpeg_quality_decides_the_size(tmp_path):
    image = Image(_pixels(64, 64, 3, "uint8"))
    write_image(tmp_path / "low.jpg", image, jpeg_quality=20)
    write_image(tmp_path / "high.jpg", image, jpeg_quality=95)
    assert (tmp_path / "low.jpg").stat().st_size < (tmp_path / "high.jpg").stat().st_size / 2


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "suffix, alpha", [*product((".png", ".tif", ".webp"), (False, True)), (".jpg", False)]
)
def test_other_programs_see_the_same_picture(tmp_path, suffix, channels, alpha):
    pixels = np.full((32, 48, channels), 200, np.uint8)
    pixels[:16, :, 0] = 90
    opacity = np.full((32, 48), 128, np.uint8) if alpha else None
    profile = RGB_PROFILE if channels == 3 else None
    write_image(tmp_path / f"a{suffix}", Image(pixels, opacity, profile, _exif()))
    with PIL.Image.open(tmp_path / f"a{suffix}") as theirs:
        mode = ("L" if channels == 1 else "RGB") + ("A" if alpha else "")
        if channels == 1 and (suffix == ".webp" or (suffix == ".tif" and alpha)):
            mode = "RGBA" if alpha else "RGB"
        assert theirs.mode == mode
        assert theirs.info.get("icc_profile") == profile
        assert theirs.getexif()[271] == "a camera"
        assert float(theirs.getexif().get_ifd(34665)[33434]) == 0.125
        decoded = np.asarray(theirs).reshape(32, 48, -1)
    tolerance = 25 if suffix == ".jpg" else 0
    colours = decoded.shape[2] - alpha
    assert np.abs(decoded[:, :, :colours].astype(int) - pixels).max() <= tolerance
    if opacity is not None:
        assert np.array_equal(decoded[:, :, -1], opacity)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("byte_order", ["II", "MM"])
def test_other_programs_read_our_tiff_in_both_byte_orders(tmp_path, dtype, byte_order):
    pixels = _pixels(700, 300, 3, dtype)
    block = b"II*\0\x08\0\0\0\0\0\0\0\0\0" if byte_order == "II" else b"MM\0*\0\0\0\x08\0\0\0\0\0\0"
    write_image(tmp_path / "a.tif", Image(pixels, exif=block))
    assert (tmp_path / "a.tif").read_bytes()[:2].decode() == byte_order
    assert np.array_equal(tifffile.imread(tmp_path / "a.tif"), pixels)
    assert np.array_equal(read_image(tmp_path / "a.tif").pixels, pixels)


def test_other_programs_read_our_16_bit_png(tmp_path):
    pixels = _pixels(20, 30, 1, "uint16")
    write_image(tmp_path / "a.png", Image(pixels))
    with PIL.Image.open(tmp_path / "a.png") as theirs:
        assert np.array_equal(np.asarray(theirs), pixels[:, :, 0])


@pytest.mark.parametrize("suffix, mode", [
    *product((".png", ".tif", ".webp"), ("L", "RGB", "RGBA")), (".jpg", "L"), (".jpg", "RGB"),
])  # fmt: skip
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_upright(tmp_path, suffix, orientation, mode):
    stored = PIL.Image.fromarray(_pixels(2, 3, 3, "uint8")).resize((48, 32), 0).convert(mode)
    if mode == "RGBA":
        stored.putalpha(PIL.Image.fromarray(np.arange(32 * 48, dtype=np.uint8).reshape(32, 48) | 1))
    exif = PIL.Image.Exif()
    exif[274] = orientation
    exif[271] = "a camera"
    lossless = {"lossless": True, "quality": 100, "subsampling": 0} if suffix in (".webp", ".jpg") else {}
    stored.save(tmp_path / f"a{suffix}", exif=exif, **lossless)
    # what the standard says stands where, row 0 and column 0 of the stored pixels: top, left and so on
    turned = np.asarray(stored).reshape(32, 48, -1)
    if orientation >= 5:
        turned = turned.swapaxes(0, 1)
    turned = turned[:: -1 if orientation in (3, 4, 7, 8) else 1, :: -1 if orientation in (2, 3, 6, 7) else 1]

    image = read_image(tmp_path / f"a{suffix}")
    channels = np.dstack([image.pixels, image.alpha]) if image.alpha is not None else image.pixels
    assert channels.shape[:2] == turned.shape[:2]
    assert np.abs(channels.astype(int) - turned).max() <= (12 if suffix == ".jpg" else 0)
    assert image.exif is not None
    written = PIL.Image.Exif()
    written.load(b"Exif\0\0" + image.exif)
    assert (written[274], written[271]) == (1, "a camera")


def test_an_orientation_that_a_caller_left_in_is_not_written(tmp_path):
    pixels = _pixels(4, 6, 3, "uint8")
    for suffix in (".png", ".tif", ".webp", ".jpg"):
        write_image(tmp_path / f"a{suffix}", Image(pixels, exif=_exif(orientation=6)))
        assert read_image(tmp_path / f"a{suffix}").pixels.shape == pixels.shape


def test_the_dtype_decides_the_depth_and_never_the_values(tmp_path):
    dark = np.full((5, 5, 3), 3, np.uint16)
    write_image(tmp_path / "dark.png", Image(dark))
    assert read_image(tmp_path / "dark.png").pixels.dtype == np.uint16
    bright = np.full((5, 5, 3), 3.5, np.float32)
    write_image(tmp_path / "bright.tif", Image(bright))
    assert np.array_equal(read_image(tmp_path / "bright.tif").pixels, bright)


def test_palettes_and_few_bits_become_8_bit(tmp_path):
    colours = PIL.Image.fromarray(_pixels(20, 30, 3, "uint8")).quantize(16)
    for suffix in (".png", ".tif", ".bmp"):
        colours.save(tmp_path / f"palette{suffix}")
        assert np.array_equal(
            read_image(tmp_path / f"palette{suffix}").pixels, np.asarray(colours.convert("RGB"))
        )
        black_or_white = PIL.Image.fromarray(_pixels(20, 30, 1, "uint8")[:, :, 0] > 128)
        black_or_white.save(tmp_path / f"bits{suffix}")
        expected = np.asarray(black_or_white.convert("L"))[:, :, None]
        assert np.array_equal(read_image(tmp_path / f"bits{suffix}").pixels, expected)


def test_a_palette_with_transparent_colours_has_alpha(tmp_path):
    palette = PIL.Image.fromarray(_pixels(20, 30, 3, "uint8")).quantize(4)
    palette.save(tmp_path / "a.png", transparency=bytes([0, 100, 200, 255]))
    with PIL.Image.open(tmp_path / "a.png") as theirs:
        expected = np.asarray(theirs.convert("RGBA"))
    image = read_image(tmp_path / "a.png")
    assert image.alpha is not None
    assert np.array_equal(np.dstack([image.pixels, image.alpha]), expected)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_tiff_whose_zero_is_white_is_inverted(tmp_path, dtype):
    stored = _pixels(20, 30, 1, dtype)[:, :, 0]
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite")
    assert np.array_equal(read_image(tmp_path / "a.tif").pixels[:, :, 0], np.iinfo(dtype).max - stored)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("kind", ["unassalpha", "unspecified"])
def test_colours_of_a_tiff_are_not_multiplied_by_its_alpha(tmp_path, dtype, kind):
    stored = _pixels(20, 30, 4, dtype)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", extrasamples=[kind])
    image = read_image(tmp_path / "a.tif")
    assert image.alpha is not None
    assert np.array_equal(np.dstack([image.pixels, image.alpha]), stored)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_colours_that_were_multiplied_by_alpha_are_divided_by_it(tmp_path, dtype):
    colours, alpha = _pixels(20, 30, 3, dtype), _pixels(20, 30, 1, dtype, 1)
    alpha[0] = 0
    multiplied = from_float(to_float(colours) * to_float(alpha), dtype)
    stored = np.concatenate([multiplied, alpha], axis=2)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", extrasamples=["assocalpha"])
    image = read_image(tmp_path / "a.tif")
    assert image.alpha is not None
    assert np.array_equal(image.alpha, alpha[:, :, 0])
    assert not image.pixels[0].any()
    opaque = to_float(alpha[:, :, 0]) > 0.5
    error = np.abs(to_float(image.pixels) - to_float(colours))[opaque]
    assert error.max() <= (2 / 255 if dtype == "uint8" else 1e-4)


@pytest.mark.parametrize("options", [
    {"byteorder": ">"}, {"tile": (64, 64)}, {"compression": "zlib", "predictor": True}, {"rowsperstrip": 3},
])  # fmt: skip
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_tiff_is_read_however_it_is_laid_out(tmp_path, dtype, options):
    stored = _pixels(100, 150, 3, dtype)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", **options)
    assert np.array_equal(read_image(tmp_path / "a.tif").pixels, stored)


def _save_as(path, kind):
    rgb = PIL.Image.fromarray(_pixels(20, 30, 3, "uint8"))
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
    ("planes.tif", "stored apart"),
])  # fmt: skip
def test_what_would_be_misread_is_refused(tmp_path, name, words):
    _save_as(tmp_path / name, name.split(".")[0])
    with pytest.raises(ImageError, match=words) as caught:
        read_image(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "WEBP"])
def test_of_several_pictures_the_first_is_read_with_a_warning(tmp_path, format_, capsys):
    first, second = (PIL.Image.fromarray(_pixels(20, 30, 3, "uint8", seed)) for seed in (0, 1))
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
    assert capsys.readouterr().err.count("only the first is read") == 1


def test_transparency_that_cannot_be_kept_is_told(tmp_path, capsys):
    grey = PIL.Image.fromarray(_pixels(20, 30, 1, "uint8")[:, :, 0])
    grey.save(tmp_path / "a.png", transparency=17)
    assert np.array_equal(read_image(tmp_path / "a.png").pixels[:, :, 0], np.asarray(grey))
    assert "transparent colour" in capsys.readouterr().err


def test_missing_empty_and_foreign_files_are_refused(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("no picture at all")
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
    write_image(tmp_path / f"whole{suffix}", Image(_pixels(40, 60, 3, "uint8")))
    data = (tmp_path / f"whole{suffix}").read_bytes()
    for length in {1, 2, 3, 8, 12, 20, 30, 60, *range(100, len(data), len(data) // 12), len(data) - 2}:
        (tmp_path / f"cut{suffix}").write_bytes(data[:length])
        with pytest.raises(ImageError):
            read_image(tmp_path / f"cut{suffix}")


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_bytes_after_the_end_of_an_image_do_no_harm(tmp_path, suffix):
    write_image(tmp_path / f"a{suffix}", Image(_pixels(40, 60, 3, "uint8")))
    before = read_image(tmp_path / f"a{suffix}").pixels
    with open(tmp_path / f"a{suffix}", "ab") as file:
        file.write(b"what a telephone adds" * 9)
    assert np.array_equal(read_image(tmp_path / f"a{suffix}").pixels, before)


def test_damaged_pixels_end_in_one_line_and_libraries_stay_silent(tmp_path):
    write_image(tmp_path / "a.png", Image(_pixels(40, 60, 3, "uint8")))
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "a.png").write_bytes(data)
    program = f"from n2b.runtime.image import read_image\nread_image({str(tmp_path / 'a.png')!r})"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    last = run.stderr.splitlines()[-1]
    assert run.stderr.startswith("Traceback")
    assert last.startswith("n2b.runtime.errors.ImageError")
    assert "is damaged" in last


def test_an_image_larger_than_opencv_decodes_says_how_to_allow_it(tmp_path):
    write_image(tmp_path / "a.png", Image(_pixels(40, 60, 3, "uint8")))
    program = f"""
import os
os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = "1000"
from n2b.runtime.errors import ImageError
from n2b.runtime.image import read_image
try:
    read_image({str(tmp_path / "a.png")!r})
except ImageError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "set OPENCV_IO_MAX_IMAGE_PIXELS" in run.stdout
    assert run.stdout.count("\n") == 1
    assert run.stderr == ""


@pytest.mark.parametrize("name", ["Grüße 写真.png", "写真.jpg", "ünïcode.tif", "not-utf8-\udcff.png"])
def test_names_may_hold_any_character(tmp_path, name):
    try:
        (tmp_path / name).touch()
    except OSError:
        pytest.skip("this file system does not take such names")
    write_image(tmp_path / name, Image(_pixels(8, 8, 3, "uint8")))
    assert read_image(tmp_path / name).pixels.shape == (8, 8, 3)


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
    pixels = _pixels(5, 5, 3, dtype)
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
        write_image(path, Image(_pixels(5, 5, 3, "uint8"), icc_profile=profile))
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write") as caught:
        write_image(tmp_path / "file" / "a.png", Image(_pixels(5, 5, 3, "uint8")))
    assert "\n" not in str(caught.value)


def test_metadata_that_bmp_cannot_hold_is_told(tmp_path, capsys):
    write_image(tmp_path / "a.bmp", Image(_pixels(5, 5, 3, "uint8"), exif=_exif()))
    assert "BMP holds no EXIF block" in capsys.readouterr().err


def test_a_profile_that_is_not_for_the_pixels_is_left_out_and_told(tmp_path, capsys):
    image = Image(_pixels(5, 5, 1, "uint8"), icc_profile=GREY_PROFILE)
    write_image(tmp_path / "a.png", image.with_pixels(_pixels(5, 5, 3, "uint8")))
    assert "colour profile does not fit" in capsys.readouterr().err
    assert read_image(tmp_path / "a.png").icc_profile is None


@pytest.mark.parametrize("suffix, has_alpha", [(".webp", False), (".webp", True), (".tif", True)])
def test_a_profile_of_grey_is_not_put_into_a_file_that_becomes_rgb(tmp_path, suffix, has_alpha, capsys):
    pixels = _pixels(5, 5, 1, "uint8")
    image = Image(pixels, pixels[:, :, 0] if has_alpha else None, GREY_PROFILE)
    write_image(tmp_path / f"a{suffix}", image)
    assert "colour profile does not fit" in capsys.readouterr().err
    with PIL.Image.open(tmp_path / f"a{suffix}") as theirs:
        assert "icc_profile" not in theirs.info


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_writing_makes_no_copy_of_the_pixels(tmp_path, suffix, dtype):
    pixels = _pixels(2000, 2000, 3, dtype)
    tracemalloc.start()
    write_image(tmp_path / f"a{suffix}", Image(pixels))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < pixels.nbytes


def test_views_of_other_arrays_are_written_as_they_look(tmp_path):
    whole = _pixels(40, 60, 3, "uint8")
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
    image = Image(_pixels(4, 5, 3, "uint8"), np.ones((4, 5), np.uint8), RGB_PROFILE, _exif())
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


def test_a_read_image_is_one_that_pillow_decodes_alike(tmp_path):
    """JPEG is decoded by the same library everywhere; channels in another order would show."""
    picture = PIL.Image.fromarray(_pixels(4, 4, 3, "uint8")).resize((64, 64), 0)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=95)
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    with PIL.Image.open(buffer) as theirs:
        difference = np.abs(read_image(tmp_path / "a.jpg").pixels.astype(int) - np.asarray(theirs))
    assert difference.mean() < 1
