"""Files of other programs are read as they mean them, and ours by them."""

import io
from itertools import product

import numpy as np
import PIL.Image
import pytest
import tifffile
from n2b.runtime.images.convert import from_float, to_float
from n2b.runtime.images.image import Image, read_image, write_image

from ..fakes.images import RGB_PROFILE, make_exif, random_pixels


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "suffix, alpha", [*product((".png", ".tif", ".webp"), (False, True)), (".jpg", False)]
)
def test_other_programs_see_the_same_image(tmp_path, suffix, channels, alpha):
    pixels = np.full((32, 48, channels), 200, np.uint8)
    pixels[:16, :, 0] = 90
    opacity = np.full((32, 48), 128, np.uint8) if alpha else None
    profile = RGB_PROFILE if channels == 3 else None
    write_image(tmp_path / f"a{suffix}", Image(pixels, opacity, profile, make_exif()))
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
    pixels = random_pixels(700, 300, 3, dtype)
    block = b"II*\0\x08\0\0\0\0\0\0\0\0\0" if byte_order == "II" else b"MM\0*\0\0\0\x08\0\0\0\0\0\0"
    write_image(tmp_path / "a.tif", Image(pixels, exif=block))
    assert (tmp_path / "a.tif").read_bytes()[:2].decode() == byte_order
    assert np.array_equal(tifffile.imread(tmp_path / "a.tif"), pixels)
    assert np.array_equal(read_image(tmp_path / "a.tif").pixels, pixels)


def test_other_programs_read_our_16_bit_png(tmp_path):
    pixels = random_pixels(20, 30, 1, "uint16")
    write_image(tmp_path / "a.png", Image(pixels))
    with PIL.Image.open(tmp_path / "a.png") as theirs:
        assert np.array_equal(np.asarray(theirs), pixels[:, :, 0])


@pytest.mark.parametrize("suffix, mode", [
    *product((".png", ".tif", ".webp"), ("L", "RGB", "RGBA")), (".jpg", "L"), (".jpg", "RGB"),
])  # fmt: skip
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_upright(tmp_path, suffix, orientation, mode):
    stored = PIL.Image.fromarray(random_pixels(2, 3, 3, "uint8")).resize((48, 32), 0).convert(mode)
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


def test_the_dtype_decides_the_depth_and_never_the_values(tmp_path):
    dark = np.full((5, 5, 3), 3, np.uint16)
    write_image(tmp_path / "dark.png", Image(dark))
    assert read_image(tmp_path / "dark.png").pixels.dtype == np.uint16
    bright = np.full((5, 5, 3), 3.5, np.float32)
    write_image(tmp_path / "bright.tif", Image(bright))
    assert np.array_equal(read_image(tmp_path / "bright.tif").pixels, bright)


def test_palettes_and_few_bits_become_8_bit(tmp_path):
    colours = PIL.Image.fromarray(random_pixels(20, 30, 3, "uint8")).quantize(16)
    for suffix in (".png", ".tif", ".bmp"):
        colours.save(tmp_path / f"palette{suffix}")
        assert np.array_equal(
            read_image(tmp_path / f"palette{suffix}").pixels, np.asarray(colours.convert("RGB"))
        )
        black_or_white = PIL.Image.fromarray(random_pixels(20, 30, 1, "uint8")[:, :, 0] > 128)
        black_or_white.save(tmp_path / f"bits{suffix}")
        expected = np.asarray(black_or_white.convert("L"))[:, :, None]
        assert np.array_equal(read_image(tmp_path / f"bits{suffix}").pixels, expected)


def test_a_palette_with_transparent_colours_has_alpha(tmp_path):
    palette = PIL.Image.fromarray(random_pixels(20, 30, 3, "uint8")).quantize(4)
    palette.save(tmp_path / "a.png", transparency=bytes([0, 100, 200, 255]))
    with PIL.Image.open(tmp_path / "a.png") as theirs:
        expected = np.asarray(theirs.convert("RGBA"))
    image = read_image(tmp_path / "a.png")
    assert image.alpha is not None
    assert np.array_equal(np.dstack([image.pixels, image.alpha]), expected)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_tiff_whose_zero_is_white_is_inverted(tmp_path, dtype):
    stored = random_pixels(20, 30, 1, dtype)[:, :, 0]
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite")
    assert np.array_equal(read_image(tmp_path / "a.tif").pixels[:, :, 0], np.iinfo(dtype).max - stored)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("kind", ["unassalpha", "unspecified"])
def test_colours_of_a_tiff_are_not_multiplied_by_its_alpha(tmp_path, dtype, kind):
    stored = random_pixels(20, 30, 4, dtype)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", extrasamples=[kind])
    image = read_image(tmp_path / "a.tif")
    assert image.alpha is not None
    assert np.array_equal(np.dstack([image.pixels, image.alpha]), stored)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_colours_that_were_multiplied_by_alpha_are_divided_by_it(tmp_path, dtype):
    colours, alpha = random_pixels(20, 30, 3, dtype), random_pixels(20, 30, 1, dtype, 1)
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
    stored = random_pixels(100, 150, 3, dtype)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", **options)
    assert np.array_equal(read_image(tmp_path / "a.tif").pixels, stored)


def test_a_read_image_is_one_that_pillow_decodes_alike(tmp_path):
    """JPEG is decoded by the same library everywhere; channels in another order would show."""
    image = PIL.Image.fromarray(random_pixels(4, 4, 3, "uint8")).resize((64, 64), 0)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    with PIL.Image.open(buffer) as theirs:
        difference = np.abs(read_image(tmp_path / "a.jpg").pixels.astype(int) - np.asarray(theirs))
    assert difference.mean() < 1
