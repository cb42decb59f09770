"""The main image of a TIFF file is read, wherever it is; raw files of cameras are refused."""

import numpy as np
import pytest
import tifffile
from n2b.runtime.errors import ImageError
from n2b.runtime.images.image import read_image
from n2b.runtime.images.large_tiff import LargeTiff, tiff_layout

from ..fakes.images import random_pixels

MAIN = random_pixels(64, 96, 3, "uint8")
THUMBNAIL = random_pixels(16, 24, 3, "uint8", 1)
MASK = random_pixels(64, 96, 1, "uint8", 2)[:, :, 0]


def _check(path, pixels=MAIN):
    assert np.array_equal(read_image(path).pixels, pixels)
    large = LargeTiff(path)
    assert np.array_equal(next(iter(large.bands([(0, len(pixels))]))), pixels)
    layout = tiff_layout(path)
    assert layout is not None
    assert layout.shape == pixels.shape


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
@pytest.mark.parametrize("first, subfile", [(THUMBNAIL, 1), (MASK, 4), (MASK, 5)])
def test_a_thumbnail_or_mask_before_the_image_is_passed_over(
    tmp_path, bigtiff, compression, first, subfile, caplog
):
    with tifffile.TiffWriter(tmp_path / "a.tif", bigtiff=bigtiff) as file:
        photometric = "rgb" if first.ndim == 3 else "minisblack"
        file.write(first, photometric=photometric, subfiletype=1, compression=compression)
        file.write(MAIN, photometric="rgb", subfiletype=0, compression=compression, rowsperstrip=16)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        file.pages.first.tags["NewSubfileType"].overwrite(subfile)
    _check(tmp_path / "a.tif")
    assert not caplog.text


@pytest.mark.parametrize("subfile", [0, 1])
def test_an_image_in_a_subdirectory_is_found_behind_its_preview(tmp_path, subfile):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(THUMBNAIL, photometric="rgb", subfiletype=subfile, subifds=1)
        file.write(MAIN, photometric="rgb", subfiletype=0, tile=(32, 32))
    _check(tmp_path / "a.tif")


def test_lower_resolutions_in_subdirectories_are_passed_over(tmp_path, caplog):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        file.write(MAIN, photometric="rgb", subifds=2)
        file.write(MAIN[::2, ::2], photometric="rgb", subfiletype=1)
        file.write(MAIN[::4, ::4], photometric="rgb", subfiletype=1)
    _check(tmp_path / "a.ome.tif")
    assert not caplog.text


def test_the_only_image_is_read_whatever_it_is_called(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", MAIN, photometric="rgb", subfiletype=1)
    _check(tmp_path / "a.tif")


def test_of_several_full_images_the_first_is_read_with_a_warning(tmp_path, caplog):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for pixels, subfile in ((THUMBNAIL, 1), (MAIN, 2), (MAIN[::-1], 2)):
            file.write(pixels, photometric="rgb", subfiletype=subfile)
    _check(tmp_path / "a.tif")
    assert "only the first is read" in caplog.text


def _dng(path):
    version = (50706, 1, 4, bytes([1, 4, 0, 0]), True)
    pattern = [(33421, 3, 2, (2, 2), True), (33422, 1, 4, bytes([0, 1, 1, 2]), True)]
    with tifffile.TiffWriter(path) as file:
        file.write(THUMBNAIL, photometric="rgb", subfiletype=1, subifds=1, extratags=[version])
        file.write(np.full((64, 96), 900, np.uint16), photometric=32803, subfiletype=0, extratags=pattern)


def _nef(path):
    pattern = [(33421, 3, 2, (2, 2), True), (33422, 1, 4, bytes([0, 1, 1, 2]), True)]
    with tifffile.TiffWriter(path) as file:
        make = (271, 2, 18, "NIKON CORPORATION", True)
        file.write(THUMBNAIL, photometric="rgb", subfiletype=1, subifds=2, extratags=[make])
        file.write(MAIN, photometric="rgb", subfiletype=1)
        file.write(np.full((64, 96), 900, np.uint16), photometric=32803, subfiletype=0, extratags=pattern)


def _cr2(path):
    tifffile.imwrite(path, MAIN, photometric="rgb")
    data = bytearray(path.read_bytes())
    data[8:12] = b"CR\2\0"
    path.write_bytes(data)


def _linear_dng(path):
    version = (50706, 1, 4, bytes([1, 4, 0, 0]), True)
    tifffile.imwrite(path, MAIN.astype(np.uint16), photometric=34892, planarconfig=1, extratags=[version])


def _raw_of_a_chain(path):
    with tifffile.TiffWriter(path) as file:
        file.write(THUMBNAIL, photometric="rgb")
        file.write(np.full((64, 96), 900, np.uint16), photometric=32803)


@pytest.mark.parametrize("write", [_dng, _nef, _cr2, _linear_dng, _raw_of_a_chain])
@pytest.mark.parametrize("name", ["renamed.tif"])  # by a name of its own it is developed: test_raw.py
def test_a_raw_file_is_refused(tmp_path, write, name):
    write(tmp_path / name)
    for read in (read_image, LargeTiff):
        with pytest.raises(ImageError, match="is a raw file of a camera; develop it first, to TIFF or PNG"):
            read(tmp_path / name)
    assert tiff_layout(tmp_path / name) is None
