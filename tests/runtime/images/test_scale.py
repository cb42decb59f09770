"""Data of fewer bits than their file, and floats of another scale, are scaled on request."""

import json
from typing import Any

import numpy as np
import pytest
import tifffile
from n2b.export.int8.calibration_images import calibration_images
from n2b.runtime import Denoiser
from n2b.runtime.errors import ImageError, UserError
from n2b.runtime.images.image import read_image, write_image
from n2b.runtime.pipelines.job import Job
from n2b.runtime.pipelines.strips import denoise_by_strips
from n2b.training.config import TrainConfig
from n2b.training.data.sources import noisy_sources, read_images

from ..fakes.images import random_pixels

_NO_MODEL: Any = None  # named images are read without it


def _tiff(path, dtype, highest, size=64):
    pixels = (random_pixels(size, size, 3, "float32") * highest).astype(dtype)
    pixels[0, 0] = highest
    tifffile.imwrite(path, pixels, photometric="rgb")
    return pixels


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_fewer_bits_are_mentioned_and_read_by_their_white_level(tmp_path, bits, caplog):
    white = (1 << bits) - 1
    stored = _tiff(tmp_path / "a.tif", np.uint16, white)
    assert np.array_equal(read_image(tmp_path / "a.tif").pixels, stored)
    assert f"reach only {white}, like {bits}-bit data" in caplog.text
    assert f"--white-level {white}" in caplog.text
    caplog.clear()
    image = read_image(tmp_path / "a.tif", white_level=white)
    assert not caplog.text
    assert np.array_equal(image.pixels, np.rint(stored * (65535 / white)))
    write_image(tmp_path / "b.tif", image)
    assert np.array_equal(tifffile.imread(tmp_path / "b.tif"), stored)


def _trained_on(folder):
    config = TrainConfig(noisy=(str(folder),), steps=1)
    return [name for name, _ in read_images(noisy_sources(config, folder), 1, np.uint16)]


def _calibrated_on(folder):
    _, images = calibration_images(_NO_MODEL, str(folder), folder)
    return [image.name for image in images]


@pytest.mark.parametrize("read", [_trained_on, _calibrated_on])
@pytest.mark.parametrize("count, others", [(1, ""), (3, "; 2 more images are alike")])
def test_of_many_images_one_warning_tells_how_many_there_are(tmp_path, caplog, read, count, others):
    for number in range(count):
        _tiff(tmp_path / f"{number}.tif", np.uint16, 4095, size=300)
    assert len(read(tmp_path)) == count
    (message,) = caplog.messages
    assert message.startswith(f"{tmp_path / '0.tif'}: its 16-bit samples reach only 4095, like 12-bit data")
    assert message.endswith(f"(white_level=4095){others}")


@pytest.mark.parametrize("highest", [65535, 16384, 9000])
def test_16_bit_images_that_use_more_are_not_mentioned(tmp_path, highest, caplog):
    _tiff(tmp_path / "a.tif", np.uint16, highest)
    read_image(tmp_path / "a.tif")
    assert not caplog.text


@pytest.mark.parametrize("white", [255.0, 4095.0])
def test_floats_are_scaled_to_one_and_back(tmp_path, white):
    stored = _tiff(tmp_path / "a.tif", np.float32, white)
    image = read_image(tmp_path / "a.tif", white_level=white)
    np.testing.assert_allclose(image.pixels, stored / white, rtol=1e-6)
    write_image(tmp_path / "b.tif", image)
    np.testing.assert_allclose(tifffile.imread(tmp_path / "b.tif"), stored, rtol=1e-6)


def test_8_bit_images_are_left_alone(tmp_path):
    stored = _tiff(tmp_path / "a.tif", np.uint8, 200)
    assert np.array_equal(read_image(tmp_path / "a.tif", white_level=4095).pixels, stored)


@pytest.mark.parametrize("level, words", [
    (4000, "reaches 4095, above the white level of 4000"), (0, "above 0"), (-1, "above 0"),
    (float("nan"), "above 0"),
])  # fmt: skip
def test_a_white_level_that_cannot_be_is_refused(tmp_path, level, words):
    _tiff(tmp_path / "a.tif", np.uint16, 4095)
    with pytest.raises(ImageError, match=words) as caught:
        read_image(tmp_path / "a.tif", white_level=level)
    assert str(tmp_path / "a.tif") in str(caught.value)


def _with_nan(path):
    pixels = random_pixels(64, 64, 3, "float32")
    pixels[5, 5] = np.nan
    tifffile.imwrite(path, pixels, photometric="rgb")


CASES = {
    "0..4095": lambda path: _tiff(path, np.float32, 4095),
    "0..255": lambda path: _tiff(path, np.float32, 255),
    "NaN": _with_nan,
}
WORDS = {"0..4095": "reaches 4095", "0..255": "reaches 255", "NaN": "NaN or infinite"}


@pytest.mark.parametrize("case", CASES)
def test_training_calibration_and_inference_refuse_the_same_floats(make_model, tmp_path, case, caplog):
    CASES[case](tmp_path / "a.tif")
    config = TrainConfig(noisy=(str(tmp_path / "a.tif"),), steps=1)
    with pytest.raises(UserError, match="none of 1 images can be used"):
        list(read_images(noisy_sources(config, tmp_path), 32))
    assert WORDS[case] in caplog.text
    caplog.clear()
    with pytest.raises(UserError):
        list(calibration_images(_NO_MODEL, str(tmp_path / "a.tif"), tmp_path)[1])
    with (
        Denoiser(make_model("negative", io="float32")) as denoise,
        pytest.raises(ImageError, match=WORDS[case]),
    ):
        denoise.check(read_image(tmp_path / "a.tif").pixels)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_training_and_calibration_scale_alike(tmp_path, dtype):
    stored = _tiff(tmp_path / "a.tif", dtype, 4095, 200)
    expected = np.rint(stored.astype(float) / 4095 * 255)
    config = TrainConfig(noisy=(str(tmp_path / "a.tif"),), steps=1, white_level=4095)
    ((_, pixels),) = read_images(noisy_sources(config, tmp_path), 32)
    assert np.abs(pixels - expected).max() <= 1
    assert len(np.unique(pixels)) > 200
    _, images = calibration_images(_NO_MODEL, str(tmp_path / "a.tif"), tmp_path, white_level=4095)
    (calibrated,) = images
    assert np.abs(calibrated.noisy[:200, :200] - expected).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_strips_scale_as_the_whole(make_model, tmp_path, dtype):
    _tiff(tmp_path / "a.tif", dtype, 4095, 150)
    with Denoiser(make_model("negative", io="float32"), tile=64) as denoise:
        image = read_image(tmp_path / "a.tif", white_level=4095)
        write_image(tmp_path / "whole.tif", image.with_pixels(denoise(image.pixels)))
        job = Job(tmp_path / "a.tif", tmp_path / "strips.tif")
        denoise_by_strips(job, denoise, 1.0, lambda _: None, white_level=4095)
    whole = tifffile.imread(tmp_path / "whole.tif")
    assert np.array_equal(tifffile.imread(tmp_path / "strips.tif"), whole)
    assert 4000 < whole.max() <= 4095


def test_the_option_reaches_the_images(n2b_infer, make_model, tmp_path):
    stored = _tiff(tmp_path / "a.tif", np.uint16, 4095)
    model = make_model("negative", io="float32")
    arguments = tmp_path / "a.tif", "-o", tmp_path / "b.tif", "-m", model, "--white-level", 4095, "--json"
    status, printed, error = n2b_infer(*arguments)
    assert status == 0, error
    assert json.loads(printed)["images"][0]["warnings"] == []
    assert np.abs(tifffile.imread(tmp_path / "b.tif").astype(int) - (4095 - stored)).max() <= 1
