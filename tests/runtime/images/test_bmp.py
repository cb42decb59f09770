"""BMP files of any depth, mask and header are read as their header says."""

import struct

import numpy as np
import PIL.Image
import pytest
from n2b.runtime.errors import ImageError
from n2b.runtime.images.image import read_image

from ..fakes.images import RGB_PROFILE, random_pixels

PIXELS = random_pixels(5, 7, 4, "uint8")
BIT_FIELDS = 3


def _levels(values, bits):
    """Return the values that a file stores for 0..255, and those that it is read as."""
    largest = (1 << bits) - 1
    stored = np.rint(values / 255 * largest).astype(np.uint32)
    return stored, np.rint(stored / largest * 255).astype(np.uint8)


def _write(path, words, *, bits, compression=0, masks=(), size=40, top_down=False, rest=b""):
    """A file of words (H, W); masks follow in the header, or it if its size is 40."""
    height, width = words.shape
    rows = words.astype("<u2" if bits == 16 else "<u4")
    rows = rows if top_down else rows[::-1]
    padding = -width * bits // 8 % 4
    data = b"".join(row.tobytes() + bytes(padding) for row in rows)
    header = struct.pack("<IiiHHIIiiII", size, width, -height if top_down else height, 1, bits, compression,
                         len(data), 0, 0, 0, 0)  # fmt: skip
    header = (header + struct.pack(f"<{len(masks)}I", *masks)).ljust(size, b"\0")
    if rest:
        header = header[: len(header) - len(rest)] + rest
    start = 14 + len(header)
    path.write_bytes(struct.pack("<2sIHHI", b"BM", start + len(data), 0, 0, start) + header + data)


LAYOUTS = {
    "5-5-5": (16, 0, (), (5, 5, 5, 0), (10, 5, 0, 0)),
    "5-5-5 by masks": (16, 3, (0x7C00, 0x3E0, 0x1F), (5, 5, 5, 0), (10, 5, 0, 0)),
    "5-6-5": (16, 3, (0xF800, 0x7E0, 0x1F), (5, 6, 5, 0), (11, 5, 0, 0)),
    "B 5-6-5 R": (16, 3, (0x1F, 0x7E0, 0xF800), (5, 6, 5, 0), (0, 5, 11, 0)),
    "4-4-4": (16, 3, (0xF00, 0xF0, 0xF), (4, 4, 4, 0), (8, 4, 0, 0)),
    "8-8-8-unused": (32, 0, (), (8, 8, 8, 0), (16, 8, 0, 0)),
    "8-8-8 by masks": (32, 3, (0xFF0000, 0xFF00, 0xFF), (8, 8, 8, 0), (16, 8, 0, 0)),
    "R in the lowest byte": (32, 3, (0xFF, 0xFF00, 0xFF0000), (8, 8, 8, 0), (0, 8, 16, 0)),
    "high bytes": (32, 3, (0xFF000000, 0xFF0000, 0xFF00), (8, 8, 8, 0), (24, 16, 8, 0)),
    "10-10-10": (32, 3, (0x3FF00000, 0xFFC00, 0x3FF), (10, 10, 10, 0), (20, 10, 0, 0)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [40, 52, 56, 108, 124])
@pytest.mark.parametrize("top_down", [False, True])
def test_colours_are_where_the_masks_are(tmp_path, layout, size, top_down, caplog):
    bits, compression, masks, depths, shifts = LAYOUTS[layout]
    words = np.zeros(PIXELS.shape[:2], np.uint32)
    expected = np.empty((*PIXELS.shape[:2], 3), np.uint8)
    for channel in range(3):
        stored, expected[:, :, channel] = _levels(PIXELS[:, :, channel], depths[channel])
        words |= stored << shifts[channel]
    _write(tmp_path / "a.bmp", words, bits=bits, compression=compression, masks=masks, size=size,
           top_down=top_down)  # fmt: skip
    image = read_image(tmp_path / "a.bmp")
    assert image.alpha is None
    assert np.array_equal(image.pixels, expected)
    assert not caplog.text


@pytest.mark.parametrize("bits, masks", [(16, (0x7C00, 0x3E0, 0x1F)), (16, (0xF800, 0x7E0, 0x1F))])
def test_white_is_255_and_black_is_0(tmp_path, bits, masks):
    words = np.array([[0, masks[0] | masks[1] | masks[2]]])
    _write(tmp_path / "a.bmp", words, bits=bits, compression=BIT_FIELDS, masks=masks)
    assert read_image(tmp_path / "a.bmp").pixels.tolist() == [[[0, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize("size, compression", [(56, 3), (108, 3), (124, 3), (40, 6)])
@pytest.mark.parametrize("opacity", ["some", "none", "full"])
def test_alpha_is_read_where_there_is_a_mask_for_it(tmp_path, size, compression, opacity):
    alpha = {"some": PIXELS[:, :, 3], "none": np.uint8(0), "full": np.uint8(255)}[opacity]
    alpha = np.broadcast_to(alpha, PIXELS.shape[:2]).astype(np.uint32)
    red, green, blue = (PIXELS[:, :, i].astype(np.uint32) for i in range(3))
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    words = alpha << 24 | red << 16 | green << 8 | blue
    _write(tmp_path / "a.bmp", words, bits=32, compression=compression, masks=masks, size=size)
    image = read_image(tmp_path / "a.bmp")
    assert np.array_equal(image.pixels, PIXELS[:, :, :3])
    if opacity == "some":
        assert image.alpha is not None
        assert np.array_equal(image.alpha, alpha)
    else:
        assert image.alpha is None


@pytest.mark.parametrize("mode, colours", [("1", 2), ("P", 2), ("P", 16), ("P", 256), ("L", 256), ("RGB", 0)])
@pytest.mark.parametrize("width", [1, 2, 7, 8, 9, 33])
def test_files_of_pillow_are_read_as_pillow_reads_them(tmp_path, mode, colours, width):
    rgb = PIL.Image.fromarray(random_pixels(5, width, 3, "uint8"))
    image = rgb.quantize(colours) if mode == "P" else rgb.convert(mode)
    image.save(tmp_path / "a.bmp")
    with PIL.Image.open(tmp_path / "a.bmp") as theirs:
        expected = np.asarray(theirs.convert("RGB"))
    assert np.array_equal(np.broadcast_to(read_image(tmp_path / "a.bmp").pixels, expected.shape), expected)


def _of_runs(path, runs, *, bits=8, height=3, width=6):
    palette = np.arange(1 << bits, dtype=np.uint8)
    colours = np.stack([palette, palette[::-1], palette, palette * 0], axis=1).tobytes()
    start = 54 + len(colours)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 1 if bits == 8 else 2, 0, 0, 0, 0, 0)
    path.write_bytes(struct.pack("<2sIHHI", b"BM", 0, 0, 0, start) + header + colours + runs)


def test_run_lengths_are_decoded(tmp_path):
    runs = bytes([6, 9, 0, 0, 0, 3, 1, 2, 3, 0, 0, 2, 1, 1, 2, 7, 0, 1])
    _of_runs(tmp_path / "a.bmp", runs)
    expected = [[0, 0, 0, 0, 7, 7], [1, 2, 3, 0, 0, 0], [9] * 6]
    assert read_image(tmp_path / "a.bmp").pixels[:, :, 0].tolist() == expected
    with PIL.Image.open(tmp_path / "a.bmp") as theirs:
        assert np.array_equal(np.asarray(theirs.convert("RGB")), read_image(tmp_path / "a.bmp").pixels)


def test_run_lengths_of_4_bits_are_decoded(tmp_path):
    runs = bytes([6, 0x9A, 0, 0, 0, 5, 0x12, 0x34, 0x50, 0, 0, 0, 3, 0x77, 0, 1])
    _of_runs(tmp_path / "a.bmp", runs, bits=4)
    expected = [[7, 7, 7, 0, 0, 0], [1, 2, 3, 4, 5, 0], [9, 10, 9, 10, 9, 10]]
    assert read_image(tmp_path / "a.bmp").pixels[:, :, 0].tolist() == expected


@pytest.mark.parametrize("runs, words", [
    (bytes([7, 1, 0, 1]), "leave the image"), (bytes([6, 1, 0, 2, 0, 9, 1, 1, 0, 1]), "leave the image"),
    (bytes([6, 1, 0, 0]), "cut short"), (bytes([0, 6, 1, 2]), "cut short"),
])  # fmt: skip
def test_damaged_run_lengths_are_refused(tmp_path, runs, words):
    _of_runs(tmp_path / "a.bmp", runs)
    with pytest.raises(ImageError, match=words):
        read_image(tmp_path / "a.bmp")


@pytest.mark.parametrize("options, words", [
    ({"bits": 32, "compression": 3, "masks": (0xFF0000, 0xFF00, 0xFFFF)}, "bit masks"),
    ({"bits": 16, "compression": 3, "masks": (0xFF0000, 0x7E0, 0x1F)}, "bit masks"),
    ({"bits": 32, "compression": 3, "masks": (0xF0F000, 0xFF, 0xFF000000)}, "bit masks"),
    ({"bits": 32, "compression": 4}, "compression 4; convert it to PNG"),
    ({"bits": 16, "compression": 1}, "16 bits and compression 1"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(tmp_path, options, words):
    _write(tmp_path / "a.bmp", np.zeros((3, 4)), **options)
    with pytest.raises(ImageError, match=words):
        read_image(tmp_path / "a.bmp")


def test_an_index_outside_the_palette_is_refused(tmp_path):
    PIL.Image.fromarray(random_pixels(5, 8, 3, "uint8")).quantize(4).save(tmp_path / "a.bmp")
    data = bytearray((tmp_path / "a.bmp").read_bytes())
    data[46:50] = struct.pack("<I", 2)
    (tmp_path / "a.bmp").write_bytes(data)
    with pytest.raises(ImageError, match="outside its palette"):
        read_image(tmp_path / "a.bmp")


def test_a_profile_of_version_5_is_kept(tmp_path):
    rest = struct.pack("<III", 0, 0, 0)
    _write(tmp_path / "a.bmp", np.zeros((3, 4)), bits=32, size=124, rest=rest)
    data = bytearray((tmp_path / "a.bmp").read_bytes())
    data[14 + 56 : 14 + 60] = b"DEBM"
    struct.pack_into("<II", data, 14 + 112, len(data) - 14, len(RGB_PROFILE))
    (tmp_path / "a.bmp").write_bytes(bytes(data) + RGB_PROFILE)
    assert read_image(tmp_path / "a.bmp").icc_profile == RGB_PROFILE
