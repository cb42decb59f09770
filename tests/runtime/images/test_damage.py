"""Damaged files are refused, or read with a warning if they are lossy; never silently."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile
from n2b.runtime.errors import ImageError
from n2b.runtime.images.image import read_image
from n2b.runtime.images.large_tiff import LargeTiff

from ..fakes.images import random_pixels


def _read_in_strips(path):
    large = LargeTiff(path)
    return next(iter(large.bands([(0, large.info.shape[0])])))


def _refused(path, words):
    for read in (read_image, _read_in_strips):
        with pytest.raises(ImageError, match=words) as caught:
            read(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", [34712, 33003, 33005, 50002, 34892, 65000, 12345])
@pytest.mark.parametrize("layout", [{"rowsperstrip": 16}, {"tile": (16, 32)}])
def test_a_compression_that_is_not_known_is_refused(tmp_path, number, layout):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, random_pixels(64, 64, 3, "uint8"), photometric="rgb", compression="lzw", **layout)
    with tifffile.TiffFile(path) as file:
        offset = file.pages.first.tags["Compression"].valueoffset
    data = bytearray(path.read_bytes())
    struct.pack_into("<H", data, offset, number)
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"compression that OpenCV cannot decode.*convert it to Deflate"):
        read_image(path)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("compression", ["zlib", "lzw"])
@pytest.mark.parametrize("layout", [{"rowsperstrip": 16}, {"tile": (16, 32)}, {"rowsperstrip": 64}])
@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("filling", [b"\x55", b"\0"])
def test_a_damaged_piece_of_a_tiff_is_refused(tmp_path, dtype, compression, layout, predictor, filling):
    path = tmp_path / "a.tif"
    pixels = random_pixels(64, 64, 3, dtype)
    tifffile.imwrite(path, pixels, photometric="rgb", compression=compression, predictor=predictor, **layout)
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        start, count = page.dataoffsets[-1], page.databytecounts[-1]
    data = bytearray(path.read_bytes())
    data[start + count // 3 : start + count] = filling * (count - count // 3)
    path.write_bytes(data)
    with pytest.raises(ImageError):
        read_image(path)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_piece_compressed_by_packbits_that_ends_early_is_refused(tmp_path, dtype):
    path = tmp_path / "a.tif"
    pixels = random_pixels(64, 64, 3, dtype)
    tifffile.imwrite(path, pixels, photometric="rgb", compression="packbits", rowsperstrip=16)
    with tifffile.TiffFile(path) as file:
        start, count = file.pages.first.dataoffsets[2], file.pages.first.databytecounts[2]
    data = bytearray(path.read_bytes())
    data[start : start + count] = b"\x80" * count  # does nothing
    path.write_bytes(data)
    _refused(path, "damaged|cannot be read")


def test_one_changed_pixel_of_a_deflated_tiff_is_refused(tmp_path):
    """Stored blocks: the data stays valid, only the checksum at its end differs."""
    path = tmp_path / "a.tif"
    pixels = random_pixels(64, 64, 3, "uint8")
    tifffile.imwrite(path, pixels, photometric="rgb", compression="zlib", compressionargs={"level": 0})
    data = bytearray(path.read_bytes())
    data[data.index(pixels[30].tobytes())] ^= 1
    path.write_bytes(data)
    _refused(path, "damaged|cannot be read")


@pytest.mark.parametrize("zeros", [4, 0.2, 0.5])
@pytest.mark.parametrize("layout", [{"rowsperstrip": 16}, {"tile": (16, 32)}])
def test_deflated_data_that_goes_on_without_an_end_is_refused(tmp_path, zeros, layout):
    path = tmp_path / "a.tif"
    pixels = random_pixels(64, 64, 3, "uint8") // 2 + 60  # compressible, so that zeros are codes of pixels
    tifffile.imwrite(path, pixels, photometric="rgb", compression="zlib", **layout)
    with tifffile.TiffFile(path) as file:
        start, count = file.pages.first.dataoffsets[2], file.pages.first.databytecounts[2]
    zeros = zeros if isinstance(zeros, int) else int(zeros * count)
    data = bytearray(path.read_bytes())
    data[start + count - zeros : start + count] = bytes(zeros)
    path.write_bytes(data)
    _refused(path, "is damaged|cannot be read")


def test_deflated_data_that_is_flushed_in_place_of_an_end_is_read(tmp_path):
    pixels, strips = random_pixels(64, 64, 3, "uint8") // 2, []
    for top in range(0, 64, 16):
        compressor = zlib.compressobj()
        data = compressor.compress(pixels[top : top + 16].tobytes())
        strips.append(data + compressor.flush(zlib.Z_SYNC_FLUSH))
    tifffile.imwrite(
        tmp_path / "a.tif", iter(strips), shape=pixels.shape, dtype=pixels.dtype, photometric="rgb",
        compression="zlib", rowsperstrip=16,
    )  # fmt: skip
    assert np.array_equal(read_image(tmp_path / "a.tif").pixels, pixels)


@pytest.mark.parametrize("tag, value", [("ImageLength", 640), ("ImageWidth", 640)])
@pytest.mark.parametrize("layout", [{"rowsperstrip": 16}, {"tile": (16, 16)}])
@pytest.mark.parametrize("compression", [None, "lzw", "zlib"])
def test_a_tiff_that_promises_more_than_it_has_is_refused(tmp_path, tag, value, layout, compression):
    path = tmp_path / "a.tif"
    pixels = random_pixels(64, 64, 3, "uint8")
    tifffile.imwrite(path, pixels, photometric="rgb", compression=compression, **layout)
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages.first.tags[tag].overwrite(value)
    if tag == "ImageLength" or "tile" in layout:
        _refused(path, r"it has \d+ of the \d+ (strips|tiles) that its size needs")
    else:
        _refused(path, "damaged|cannot be read")


@pytest.mark.parametrize("bigtiff", [False, True])
def test_a_missing_tile_is_refused(tmp_path, bigtiff):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, random_pixels(64, 64, 3, "uint16"), photometric="rgb", tile=(16, 16), bigtiff=bigtiff
    )
    with tifffile.TiffFile(path, mode="r+") as file:
        for tag in ("TileOffsets", "TileByteCounts"):
            values = list(file.pages.first.tags[tag].value)
            values[5] = 0
            file.pages.first.tags[tag].overwrite(values)
    _refused(path, "has 15 of the 16 tiles")


@pytest.mark.parametrize("offset", [0, 4, 7])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_a_tile_that_begins_within_the_header_is_missing(tmp_path, offset, compression):
    path = tmp_path / "a.tif"
    pixels = random_pixels(64, 64, 3, "uint8")
    tifffile.imwrite(path, pixels, photometric="rgb", tile=(16, 16), compression=compression)
    with tifffile.TiffFile(path, mode="r+") as file:
        values = list(file.pages.first.tags["TileOffsets"].value)
        values[5] = offset
        file.pages.first.tags["TileOffsets"].overwrite(values)
    _refused(path, "has 15 of the 16 tiles")


def _with_entry(path: Path, tag: int, layout: str, at: int, *values: int) -> Path:
    """Write a TIFF file, and values over the entry of a tag in its directory, from byte `at` on."""
    pixels = random_pixels(40, 50, 3, "uint16")
    tifffile.imwrite(path, pixels, photometric="rgb", compression="zlib", predictor=True)
    with tifffile.TiffFile(path) as file:
        start = file.pages.first.tags[tag].offset
    data = bytearray(path.read_bytes())
    struct.pack_into(layout, data, start + at, *values)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("kind", [1, 2, 6, 11, 13])
@pytest.mark.parametrize("tag", [258, 277, 284, 317])
def test_a_layout_tag_of_a_wrong_type_is_refused(tmp_path, tag, kind):
    """libtiff, tifffile and Pillow take different values from it."""
    path = _with_entry(tmp_path / "a.tif", tag, "<HH", 0, tag, kind)
    _refused(path, f"is damaged: its tag {tag} is of a wrong type")


@pytest.mark.parametrize("tag", [259, 277, 284, 317])
def test_a_layout_tag_with_several_values_is_refused(tmp_path, tag):
    path = _with_entry(tmp_path / "a.tif", tag, "<I", 4, 2)
    _refused(path, f"is damaged: its tag {tag} has several values")


@pytest.mark.parametrize("offset", [2**63, 2**64 - 1, 2**63 - 1, 2**40])
def test_an_offset_beyond_the_file_is_refused(tmp_path, offset):
    (tmp_path / "a.tif").write_bytes(b"II+\0" + struct.pack("<HHQ", 8, 0, offset) + bytes(64))
    _refused(tmp_path / "a.tif", "is cut short")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_an_offset_beyond_an_exif_block_leaves_the_block_out(tmp_path, suffix, caplog):
    pixels = np.full((16, 16, 3), 99, np.uint8)
    block = b"II+\0" + struct.pack("<HHQ", 8, 0, 2**64 - 1)
    PIL.Image.fromarray(pixels).save(tmp_path / f"a{suffix}", exif=b"Exif\0\0" + block, lossless=True)
    image = read_image(tmp_path / f"a{suffix}")
    assert np.abs(image.pixels.astype(int) - pixels).max() <= 1
    assert image.exif is None
    assert "EXIF block is damaged" in caplog.text


def _jpeg(**options):
    y, x = np.mgrid[0:240, 0:320]
    pixels = np.stack([x * 0.7, y, x * 0.3 + y * 0.3], axis=-1) + random_pixels(240, 320, 3, "uint8") / 25
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels.astype(np.uint8)).save(buffer, "JPEG", quality=92, **options)
    return buffer.getvalue()


def _hole(data):
    half = len(data) // 2
    return data[:half] + bytes(2000) + data[half + 2000 :]


def _without_restart(data):
    """Remove what lies between two restart markers."""
    first, second = data.index(b"\xff\xd2"), data.index(b"\xff\xd3")
    return data[:first] + data[second:]


def _without_last_scan(data):
    return data[: data.rindex(b"\xff\xda")] + b"\xff\xd9"


@pytest.mark.parametrize("options, damage", [
    ({}, lambda data: data[: len(data) // 2] + b"\xff\xd9"),
    ({}, _hole),
    ({"progressive": True}, _hole),
    ({"progressive": True}, _without_last_scan),
    ({"restart_marker_blocks": 20}, _without_restart),
    ({"subsampling": 0}, _hole),
], ids=["half", "hole", "hole, progressive", "scan", "restart", "hole, 4:4:4"])  # fmt: skip
def test_a_damaged_jpeg_is_read_with_a_warning(tmp_path, options, damage, caplog):
    data = _jpeg(**options)
    (tmp_path / "whole.jpg").write_bytes(data)
    assert read_image(tmp_path / "whole.jpg").warnings == ()
    assert not caplog.text
    (tmp_path / "a.jpg").write_bytes(damage(data))
    image = read_image(tmp_path / "a.jpg")
    assert image.pixels.shape == (240, 320, 3)
    assert "it is damaged, and parts of it may look wrong" in caplog.text
    assert len(image.warnings) == 1


def test_a_damaged_jpeg_is_noticed_by_a_process_without_standard_error(tmp_path):
    (tmp_path / "a.jpg").write_bytes(_hole(_jpeg()))
    program = (
        "import os\nos.close(2)\nfrom n2b.runtime.images.image import read_image\n"
        f"print(read_image({str(tmp_path / 'a.jpg')!r}).warnings)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "it is damaged" in run.stdout


def test_a_damaged_jpeg_within_a_tiff_is_read_with_a_warning_or_refused(tmp_path, caplog):
    path = tmp_path / "a.tif"
    pixels = np.kron(random_pixels(64, 64, 3, "uint8"), np.ones((8, 8, 1), np.uint8))
    tifffile.imwrite(path, pixels, photometric="rgb", compression="jpeg", rowsperstrip=128)
    with tifffile.TiffFile(path) as file:
        start, count = file.pages.first.dataoffsets[1], file.pages.first.databytecounts[1]
    data = bytearray(path.read_bytes())
    data[start + count // 2 : start + count // 2 + 500] = bytes(500)
    path.write_bytes(data)
    assert read_image(path).warnings
    assert "parts of it may look wrong (JPEGLib: Corrupt JPEG data" in caplog.text


def _chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _png(pixels, *pieces, before=b""):
    height, width = pixels.shape[:2]
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    ends = b"\x89PNG\r\n\x1a\n", _chunk(b"IEND", b"")
    return ends[0] + header + before + b"".join(_chunk(b"IDAT", piece) for piece in pieces) + ends[1]


@pytest.mark.parametrize("kind", ["missing", "first half", "none", "checksum", "short", "filter"])
def test_a_png_whose_chunks_are_whole_and_pixels_are_not_is_refused(tmp_path, kind):
    pixels = random_pixels(100, 80, 3, "uint8")
    raw = b"".join(b"\0" + row.tobytes() for row in pixels)
    data = zlib.compress(raw)
    pieces = [data[i : i + 1024] for i in range(0, len(data), 1024)]
    if kind == "missing":
        del pieces[3]
    elif kind == "first half":
        del pieces[len(pieces) // 2 :]
    elif kind == "none":
        pieces = []
    elif kind == "checksum":
        pieces = [data[:-4] + b"\0\0\0\0"]
    elif kind == "short":
        pieces = [zlib.compress(raw[: len(raw) // 2])]
    else:
        pieces = [zlib.compress(raw[:241] + b"\x09" + raw[242:])]
    (tmp_path / "a.png").write_bytes(_png(pixels, *pieces))
    with pytest.raises(ImageError, match="is damaged"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("kind", [b"PLTE", b"tRNS"])
def test_a_png_with_a_damaged_palette_is_refused(tmp_path, kind):
    palette = PIL.Image.fromarray(random_pixels(20, 30, 3, "uint8")).quantize(8)
    palette.save(tmp_path / "a.png", transparency=bytes([0, 100, 200]))
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[data.index(kind) + 4] ^= 1
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(ImageError, match=f"is damaged: its {kind.decode()} chunk"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE", b"tRNS"])
def test_a_png_that_has_one_of_its_chunks_twice_is_refused(tmp_path, kind):
    """Programs differ in which of the two they take."""
    palette = PIL.Image.fromarray(random_pixels(20, 30, 3, "uint8")).quantize(8)
    palette.save(tmp_path / "a.png", transparency=bytes([0, 100, 200]))
    data = (tmp_path / "a.png").read_bytes()
    start = data.index(kind) - 4
    end = start + 12 + int.from_bytes(data[start : start + 4], "big")
    (tmp_path / "a.png").write_bytes(data[:end] + data[start:end] + data[end:])
    with pytest.raises(ImageError, match=f"is damaged: its {kind.decode()} chunk"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("is_lossless", [False, True])
def test_a_webp_whose_header_denies_its_transparency_is_read_with_a_warning(tmp_path, is_lossless, caplog):
    exif = PIL.Image.Exif()
    exif[271] = "a camera"
    image = PIL.Image.fromarray(random_pixels(20, 30, 4, "uint8"))
    image.save(tmp_path / "a.webp", lossless=is_lossless, exif=exif)
    data = bytearray((tmp_path / "a.webp").read_bytes())
    assert data[12:16] == b"VP8X"
    assert read_image(tmp_path / "a.webp").warnings == ()
    data[20] &= ~0x10
    (tmp_path / "a.webp").write_bytes(data)
    assert "transparency that its header denies" in read_image(tmp_path / "a.webp").warnings[0]
    assert "a.webp" in caplog.text
