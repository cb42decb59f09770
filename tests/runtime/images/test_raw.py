"""Raw files: developed as the camera saw, refused in one line."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from n2b.runtime.errors import ImageError, MissingPackageError
from n2b.runtime.images.image import read_image
from n2b.runtime.sources import find_images

from ..fakes.dng import write_dng

pytest.importorskip("tifffile", reason="the package tifffile is not installed")


@pytest.fixture
def dng(tmp_path: Path) -> Path:
    """64×96 px, 0.2 on the left and 0.6 on the right."""
    pytest.importorskip("rawpy", reason="the package rawpy is not installed")
    image = np.full((64, 96), 0.2)
    image[:, 48:] = 0.6
    write_dng(tmp_path / "a.dng", image)
    return tmp_path / "a.dng"


def srgb(linear: float) -> float:
    return 65535 * (1.055 * linear ** (1 / 2.4) - 0.055)


class TestDeveloped:
    def test_it_is_grey_by_the_camera_s_white_balance_and_of_the_brightness_taken(self, dng):
        image = read_image(dng)
        assert image.pixels.shape == (64, 96, 3) and image.pixels.dtype == np.uint16
        for columns, linear in ((slice(10, 40), 0.2), (slice(56, 86), 0.6)):
            patch = image.pixels[10:-10, columns].astype(float)
            assert np.ptp(patch.mean(axis=(0, 1))) < 300  # of 65535: grey
            np.testing.assert_allclose(patch.mean(), srgb(linear), rtol=0.03)
        assert not image.warnings

    def test_it_is_upright(self, tmp_path):
        pytest.importorskip("rawpy", reason="the package rawpy is not installed")
        image = np.full((64, 96), 0.1)
        image[:32] = 0.8
        write_dng(tmp_path / "a.dng", image, orientation=6)  # turned right to be upright
        pixels = read_image(tmp_path / "a.dng").pixels
        assert pixels.shape == (96, 64, 3)
        assert pixels[:, 40:].mean() > 2 * pixels[:, :24].mean()

    def test_one_without_a_white_balance_is_read_with_a_warning(self, tmp_path, dng, caplog):
        write_dng(tmp_path / "b.dng", np.full((64, 96), 0.3), has_balance=False)
        assert read_image(tmp_path / "b.dng").warnings
        assert "no white balance of the camera" in caplog.text and dng.exists()

    def test_folders_are_searched_for_it(self, dng):
        assert find_images([dng.parent]) == [dng]


class TestRefused:
    @pytest.mark.parametrize("kept", [0, 20, 300, 8000])
    def test_a_damaged_file_is_one_line(self, dng, kept, capfd):
        dng.write_bytes(dng.read_bytes()[:kept])
        with pytest.raises(ImageError, match=r"a\.dng is ") as refused:
            read_image(dng)
        assert "\n" not in str(refused.value) and not capfd.readouterr().err

    def test_a_missing_file_is_one_line(self, dng):
        with pytest.raises(ImageError, match=r"b\.dng cannot be read: No such file"):
            read_image(dng.with_stem("b"))

    def test_another_file_of_its_name_is_one_line(self, tmp_path, dng):
        (tmp_path / "b.dng").write_bytes(b"\x89PNG" + bytes(1000))
        with pytest.raises(ImageError, match="LibRaw") as refused:
            read_image(tmp_path / "b.dng")
        assert "\n" not in str(refused.value) and dng.exists()

    def test_without_rawpy_the_extra_is_named_and_folders_are_not_searched(self, dng, monkeypatch):
        monkeypatch.setitem(sys.modules, "rawpy", None)
        with pytest.raises(MissingPackageError, match=r"pip install 'noise2blur\[raw\]'"):
            read_image(dng)
        (dng.parent / "b.png").touch()
        assert find_images([dng.parent]) == [dng.parent / "b.png"]


def test_the_command_writes_16_bit_tiff(n2b_infer, make_model, dng, tmp_path):
    model = make_model("negative", io="float32")
    assert n2b_infer(dng, "-o", "out", "-m", model)[0] == 0
    result = read_image(tmp_path / "out" / "a.tif").pixels
    assert result.dtype == np.uint16
    np.testing.assert_allclose(result, 65535 - read_image(dng).pixels.astype(float), atol=2)
