"""Colour profiles, EXIF blocks and damage: what is whole is kept, what is not never stops an image."""

import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from n2b.runtime.errors import ImageError
from n2b.runtime.images.codecs import exif
from n2b.runtime.images.formats import FormatError, read_header
from n2b.runtime.images.image import Image, read_image, write_image

PROFILE = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
PIXELS = np.random.default_rng(3).integers(0, 256, (12, 17, 3), np.uint8)
ALPHA = PIXELS[:, :, 0] | 1
SUFFIXES = (".png", ".jpg", ".tif", ".webp")
ORIENTATION = 274


def _block(order: exif.Order = "<", orientation=1, thumbnail=False):
    """An EXIF block with a maker's name, an orientation, exposure, GPS, and perhaps a second directory."""
    maker = b"a camera of some make\0"
    exposure: exif.Directory = {
        33434: exif.Entry(5, 1, struct.pack(order + "II", 1, 8)),
        37500: exif.Entry(7, 6, b"secret"),
    }
    directory: exif.Directory = {
        271: exif.Entry(2, len(maker), maker),
        ORIENTATION: exif.Entry(3, 1, struct.pack(order + "H", orientation)),
        34665: exposure,
        34853: {1: exif.Entry(2, 2, b"N\0")},
    }
    block = exif.write_block(directory, order)
    assert block is not None
    if not thumbnail:
        return block
    changed = bytearray(block)
    struct.pack_into(order + "I", changed, 8 + 2 + 12 * len(directory), len(block))
    return bytes(changed) + struct.pack(order + "HHHIII", 1, 513, 4, 1, 99, 0)


def _tags(block):
    theirs = PIL.Image.Exif()
    theirs.load(b"Exif\0\0" + block)
    return theirs.get(271), theirs.get(ORIENTATION), theirs.get_ifd(34665), theirs.get_ifd(34853)


def _write(path, **metadata):
    write_image(path, Image(PIXELS, ALPHA if path.suffix != ".jpg" else None, **metadata))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("first", SUFFIXES)
@pytest.mark.parametrize("second", SUFFIXES)
def test_metadata_survive_every_change_of_format(tmp_path, order, first, second):
    block = _block(order)
    _write(tmp_path / f"a{first}", icc_profile=PROFILE, exif=block)
    image = read_image(tmp_path / f"a{first}")
    write_image(tmp_path / f"b{second}", Image(image.pixels, None, image.icc_profile, image.exif))
    back = read_image(tmp_path / f"b{second}")
    assert back.icc_profile == PROFILE
    assert back.exif is not None
    assert _tags(back.exif) == _tags(block)
    if ".tif" not in (first, second):
        assert back.exif == block


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("thumbnail", [False, True])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_block_is_made_upright_and_nothing_else_in_it_changes(order, orientation, thumbnail):
    block = _block(order, orientation, thumbnail)
    assert exif.orientation(block) == orientation
    upright = exif.make_upright(block)
    assert len(upright) == len(block)
    assert exif.orientation(upright) == 1
    assert _tags(upright)[0::2] == _tags(block)[0::2]
    structure = exif.read_structure(memoryview(upright))
    _, following = exif.read_directory(memoryview(upright), structure, structure.first)
    # a thumbnail that is not turned with the image is taken out of sight
    assert bool(following) == (thumbnail and orientation == 1)


@pytest.mark.parametrize("value", [b"\0\0", b"\x09\0", b"\xff\xff"])
def test_an_orientation_that_does_not_exist_is_upright(value):
    block = exif.write_block({ORIENTATION: exif.Entry(3, 1, value)}, "<")
    assert block is not None
    assert exif.orientation(block) == 1
    assert exif.make_upright(block) == block


def test_big_tiff_gives_a_block_that_others_understand(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif", PIXELS, bigtiff=True, photometric="rgb", iccprofile=PROFILE,
        extratags=[(271, 2, 9, "a camera", True), (ORIENTATION, 3, 1, 3, True)],
    )  # fmt: skip
    header = read_header(memoryview(bytearray((tmp_path / "a.tif").read_bytes())))
    assert header.icc_profile == PROFILE
    assert header.exif is not None
    assert _tags(header.exif)[:2] == ("a camera", 3)


def test_a_profile_of_several_jpeg_segments_is_put_together(tmp_path):
    profile = PROFILE + bytes(np.random.default_rng(0).integers(0, 256, 200_000, np.uint8))
    for suffix in SUFFIXES:
        _write(tmp_path / f"a{suffix}", icc_profile=profile)
        assert read_image(tmp_path / f"a{suffix}").icc_profile == profile
    with PIL.Image.open(tmp_path / "a.jpg") as theirs:
        assert theirs.info["icc_profile"] == profile


def test_a_profile_that_lacks_a_segment_is_left_out_and_told(tmp_path, caplog):
    _write(tmp_path / "a.jpg", icc_profile=PROFILE + bytes(200_000), exif=_block())
    data = (tmp_path / "a.jpg").read_bytes()
    start = data.index(b"ICC_PROFILE\0\x02") - 4
    (length,) = struct.unpack_from(">H", data, start + 2)
    (tmp_path / "a.jpg").write_bytes(data[:start] + data[start + 2 + length :])
    image = read_image(tmp_path / "a.jpg")
    assert (image.icc_profile, image.exif) == (None, _block())
    assert "colour profile is damaged" in caplog.text


@pytest.mark.parametrize("kind", [b"iCCP", b"eXIf"])
def test_a_damaged_png_chunk_is_left_out_and_told(tmp_path, kind, caplog):
    _write(tmp_path / "a.png", icc_profile=PROFILE, exif=_block())
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[data.index(kind) + 20] ^= 0xFF
    (tmp_path / "a.png").write_bytes(data)
    image = read_image(tmp_path / "a.png")
    assert (image.icc_profile is None, image.exif is None) == (kind == b"iCCP", kind == b"eXIf")
    assert np.array_equal(image.pixels, PIXELS)
    assert caplog.text.count("is damaged") == 1


def test_a_profile_that_unpacks_to_more_than_any_is_left_out(tmp_path, caplog):
    _write(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    content = b"bomb\0\0" + zlib.compress(bytes(100 << 20), 9)
    chunk = (
        struct.pack(">I", len(content)) + b"iCCP" + content + struct.pack(">I", zlib.crc32(b"iCCP" + content))
    )
    (tmp_path / "a.png").write_bytes(data[:33] + chunk + data[33:])
    assert read_image(tmp_path / "a.png").icc_profile is None
    assert "colour profile is damaged" in caplog.text


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_an_exif_block_that_is_none_is_left_out_and_told(tmp_path, suffix, caplog):
    image = PIL.Image.fromarray(PIXELS)
    image.save(tmp_path / f"a{suffix}", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f" + bytes(9))
    assert read_image(tmp_path / f"a{suffix}").exif is None
    assert "EXIF block is damaged" in caplog.text


def test_a_block_that_claims_far_more_than_it_holds_is_refused():
    """Many entries that share one large value would unpack to gigabytes."""
    entries = 500
    table = b"".join(struct.pack("<HHII", 271, 1, 1 << 20, 8) for _ in range(entries))
    inner = b"".join(struct.pack("<HHII", tag, 1, 1 << 20, 8) for tag in range(entries))
    where = 8 + 2 + len(table) + 12 + 4
    outer = struct.pack("<H", 1) + struct.pack("<HHII", 34665, 4, 1, where)
    data = b"II*\0\x08\0\0\0" + outer + b"\0" * (where - 8 - len(outer)) + struct.pack("<H", entries) + inner
    view = memoryview(data + bytes(1 << 20))
    structure = exif.read_structure(view)
    first, _ = exif.read_directory(view, structure, structure.first)
    description = exif.read_description(view, structure, first)
    with pytest.raises(FormatError, match="impossible size"):
        exif.write_block(description, "<")


def test_a_directory_that_lies_outside_is_left_out_when_the_block_is_rebuilt(tmp_path):
    block = bytearray(_block())
    structure = exif.read_structure(memoryview(block))
    entries, _ = exif.read_directory(memoryview(block), structure, structure.first)
    struct.pack_into("<I", block, entries[34665].offset, 1 << 30)
    _write(tmp_path / "a.tif", exif=bytes(block))
    maker, orientation, exposure, gps = _tags(read_image(tmp_path / "a.tif").exif)
    assert (maker, orientation, exposure, gps) == ("a camera of some make", 1, {}, {1: "N"})


def test_a_directory_that_points_to_itself_ends():
    block = bytearray(_block())
    structure = exif.read_structure(memoryview(block))
    entries, _ = exif.read_directory(memoryview(block), structure, structure.first)
    struct.pack_into("<I", block, entries[34665].offset, structure.first)
    entries, _ = exif.read_directory(memoryview(block), structure, structure.first)
    assert exif.write_block(exif.read_description(memoryview(block), structure, entries), "<")


def _seeds():
    with tempfile.TemporaryDirectory() as folder:
        for suffix in SUFFIXES:
            for order in "<", ">":
                path = Path(folder, f"a{suffix}")
                _write(path, icc_profile=PROFILE[:300], exif=_block(order, 1, thumbnail=True))
                yield suffix, path.read_bytes()
        write_image(Path(folder, "a.bmp"), Image(PIXELS))
        yield ".bmp", Path(folder, "a.bmp").read_bytes()


SEEDS = list(_seeds())


@st.composite
def damaged_files(draw):
    """(suffix, bytes): a file with bytes changed, taken out or put in, near the front for the most part."""
    suffix, seed = draw(st.sampled_from(SEEDS))
    data = bytearray(seed)
    for _ in range(draw(st.integers(1, 6))):
        where = draw(st.integers(0, min(len(data) - 1, draw(st.sampled_from([40, 900, len(data)])))))
        change = draw(st.sampled_from(["set", "remove", "insert", "cut", "length"]))
        if change == "set":
            data[where] = draw(st.integers(0, 255))
        elif change == "remove":
            del data[where + 1 : where + draw(st.integers(2, 20))]
        elif change == "insert":
            data[where:where] = draw(st.binary(min_size=1, max_size=20))
        elif change == "length":
            data[where : where + 4] = draw(st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"]))
        elif where:
            del data[where:]
    return suffix, bytes(data)


@settings(max_examples=600, deadline=None)
@given(damaged_files())
def test_a_damaged_header_is_read_or_refused(case):
    _, data = case
    try:
        header = read_header(memoryview(bytearray(data)))
        if header.exif:
            exif.orientation(exif.make_upright(header.exif))
    except FormatError as error:
        assert str(error)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(damaged_files())
def test_a_damaged_file_gives_an_image_or_an_image_error(case):
    suffix, data = case
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"a{suffix}")
        path.write_bytes(data)
        try:
            image = read_image(path)
        except ImageError as error:
            assert "\n" not in str(error)
            return
        assert image.exif is None or exif.orientation(image.exif) == 1
        write_image(Path(folder, "b.tif"), image)
        back = read_image(Path(folder, "b.tif"))
    assert back.icc_profile == image.icc_profile
    if image.alpha is None:
        assert np.array_equal(back.pixels, image.pixels)
