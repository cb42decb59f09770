"""Metadata that says how to show an image is kept: colour, densities, XMP, georeference, JPEG coding."""

import struct
import zlib

import numpy as np
import PIL.Image
import pytest
import tifffile
from n2b.runtime.images.image import Image, read_image, write_image
from n2b.runtime.images.large_tiff import LargeTiff
from n2b.runtime.images.tiff.writer import write_bands

from ..fakes.images import random_pixels

PIXELS = random_pixels(40, 60, 3, "uint8")
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:Description tiff:Orientation=\"6\"/></x:xmpmeta>"


def _chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _chunks(path):
    data, position, found = path.read_bytes(), 8, []
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        found.append((kind, data[position + 8 : position + 8 + length]))
        position += 12 + length
    return [chunk for chunk in found if chunk[0] not in (b"IHDR", b"IDAT", b"IEND")]


CHUNKS = {
    b"gAMA": struct.pack(">I", 100000),
    b"cHRM": struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000),
    b"cICP": bytes([9, 16, 0, 1]),
    b"sRGB": b"\0",
    b"pHYs": struct.pack(">IIB", 11811, 11811, 1),
    b"tEXt": b"Title\0a title",
    b"zTXt": b"Comment\0\0" + zlib.compress(b"a comment"),
    b"iTXt": "Author\0\0\0de\0\0Müller".encode(),
}


def _png(path, *kinds):
    write_image(path, Image(PIXELS))
    data = path.read_bytes()
    path.write_bytes(data[:33] + b"".join(_chunk(kind, CHUNKS[kind]) for kind in kinds) + data[33:])


@pytest.mark.parametrize("kinds", [*((kind,) for kind in CHUNKS), tuple(CHUNKS)])
def test_colour_and_text_chunks_of_a_png_are_kept(tmp_path, kinds, caplog):
    _png(tmp_path / "a.png", *kinds)
    write_image(tmp_path / "b.png", read_image(tmp_path / "a.png"))
    assert sorted(_chunks(tmp_path / "b.png")) == sorted((kind, CHUNKS[kind]) for kind in kinds)
    assert not caplog.text


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".webp", ".bmp"])
def test_chunks_that_another_format_cannot_hold_are_reported(tmp_path, suffix, caplog):
    _png(tmp_path / "a.png", b"gAMA", b"cHRM", b"tEXt")
    write_image(tmp_path / f"b{suffix}", read_image(tmp_path / "a.png"))
    assert "cannot hold the colour space (cHRM, gAMA), text of its input" in caplog.text


def test_a_damaged_chunk_is_left_out_with_a_warning(tmp_path, caplog):
    _png(tmp_path / "a.png", b"gAMA", b"pHYs")
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[data.index(b"gAMA") + 5] ^= 1
    (tmp_path / "a.png").write_bytes(data)
    write_image(tmp_path / "b.png", read_image(tmp_path / "a.png"))
    assert [kind for kind, _ in _chunks(tmp_path / "b.png")] == [b"pHYs"]
    assert "its gAMA chunk is damaged" in caplog.text


@pytest.mark.parametrize("first", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("second", [".png", ".jpg", ".webp", ".tif"])
def test_an_xmp_packet_survives_every_change_of_format(tmp_path, first, second):
    path = tmp_path / f"a{first}"
    if first == ".png":
        write_image(path, Image(PIXELS))
        data = path.read_bytes()
        text = _chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)
        path.write_bytes(data[:33] + text + data[33:])
    elif first == ".tif":
        tifffile.imwrite(path, PIXELS, photometric="rgb", extratags=[(700, 1, len(XMP), XMP, True)])
    else:
        PIL.Image.fromarray(PIXELS).save(path, xmp=XMP)
    write_image(tmp_path / f"b{second}", read_image(path))
    assert read_image(tmp_path / f"b{second}").metadata.xmp == XMP
    if second == ".tif":
        with tifffile.TiffFile(tmp_path / "b.tif") as file:
            assert bytes(file.pages.first.tags[700].value) == XMP
    else:
        with PIL.Image.open(tmp_path / f"b{second}") as theirs:
            found = theirs.info.get("xmp") or theirs.info["XML:com.adobe.xmp"]
            assert (found.encode() if isinstance(found, str) else found) == XMP


def test_the_orientation_in_an_xmp_packet_follows_the_pixels(tmp_path):
    exif = PIL.Image.Exif()
    exif[274] = 6
    PIL.Image.fromarray(PIXELS).save(tmp_path / "a.jpg", xmp=XMP, exif=exif)
    image = read_image(tmp_path / "a.jpg")
    assert image.pixels.shape == (60, 40, 3)
    assert image.metadata.xmp == XMP.replace(b'"6"', b'"1"')


@pytest.mark.parametrize("dpi", [(300, 300), (72, 144)])
@pytest.mark.parametrize("first", [".png", ".jpg"])
@pytest.mark.parametrize("second", [".png", ".jpg", ".tif"])
def test_the_density_is_kept(tmp_path, dpi, first, second):
    PIL.Image.fromarray(PIXELS).save(tmp_path / f"a{first}", dpi=dpi)
    write_image(tmp_path / f"b{second}", read_image(tmp_path / f"a{first}"))
    with PIL.Image.open(tmp_path / f"b{second}") as theirs:
        assert theirs.info["dpi"] == pytest.approx(dpi, abs=1)


GEO = {33550: (12, (1.0, 1.0, 0.0)), 33922: (12, (0.0, 0.0, 0.0, 5.0, 50.0, 0.0)),
       34735: (3, (1, 1, 0, 1, 1024, 0, 1, 2)), 34736: (12, (6378137.0,)), 34737: (2, "WGS 84|"),
       700: (1, XMP)}  # fmt: skip


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("described", [False, True])
def test_a_georeference_is_kept_in_memory_as_in_strips(tmp_path, byteorder, described):
    extra = [(tag, kind, len(value), value, True) for tag, (kind, value) in GEO.items()]
    if described:
        extra.append((271, 2, 9, "a camera", True))
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb", byteorder=byteorder, extratags=extra)
    write_image(tmp_path / "whole.tif", read_image(tmp_path / "a.tif"))
    large = LargeTiff(tmp_path / "a.tif")
    with open(tmp_path / "strips.tif", "wb") as file:
        write_bands(file, large.info, large.bands([(0, 40)]))
    kept = []
    for name in ("a", "whole", "strips"):
        with tifffile.TiffFile(tmp_path / f"{name}.tif") as file:
            tags = file.pages.first.tags
            kept.append({tag: tags[tag].value for tag in (*GEO, 271) if tag in tags})
    assert kept[0] == kept[1] == kept[2]
    assert set(GEO) <= set(kept[0])


def test_a_georeference_that_png_cannot_hold_is_reported(tmp_path, caplog):
    extra = [(tag, kind, len(value), value, True) for tag, (kind, value) in GEO.items()]
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb", extratags=extra)
    write_image(tmp_path / "b.png", read_image(tmp_path / "a.tif"))
    assert "PNG cannot hold the TIFF tags (33550, 33922, 34735, 34736, 34737)" in caplog.text


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [30, 75, 95, 100])
def test_a_jpeg_keeps_its_sampling_and_quality(tmp_path, subsampling, quality):
    PIL.Image.fromarray(PIXELS).save(tmp_path / "a.jpg", subsampling=subsampling, quality=quality)
    write_image(tmp_path / "b.jpg", read_image(tmp_path / "a.jpg"))
    with PIL.Image.open(tmp_path / "a.jpg") as before, PIL.Image.open(tmp_path / "b.jpg") as after:
        assert [layer[1:3] for layer in after.layer] == [layer[1:3] for layer in before.layer]
        assert after.quantization == before.quantization


def test_fine_colours_of_a_jpeg_survive(tmp_path):
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[:, 0::2, 0] = pixels[:, 1::2, 2] = 255
    PIL.Image.fromarray(pixels).save(tmp_path / "a.jpg", subsampling=0, quality=95)
    image = read_image(tmp_path / "a.jpg")
    write_image(tmp_path / "b.jpg", image)
    assert np.abs(read_image(tmp_path / "b.jpg").pixels.astype(int) - image.pixels).max() <= 2


def test_a_comment_and_iptc_of_a_jpeg_are_kept(tmp_path):
    PIL.Image.fromarray(PIXELS).save(tmp_path / "a.jpg", comment=b"a comment")
    data = (tmp_path / "a.jpg").read_bytes()
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\0"
    segment = b"\xff\xed" + struct.pack(">H", len(iptc) + 2) + iptc
    (tmp_path / "a.jpg").write_bytes(data[:20] + segment + data[20:])
    write_image(tmp_path / "b.jpg", read_image(tmp_path / "a.jpg"))
    written = (tmp_path / "b.jpg").read_bytes()
    assert segment in written
    with PIL.Image.open(tmp_path / "b.jpg") as theirs:
        assert theirs.info["comment"] == b"a comment"
