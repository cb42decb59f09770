"""16-bit and floating-point images: all of their levels, or 256 of them where that is asked for."""

from __future__ import annotations

import re

import numpy as np
import pytest
from n2b.runtime import Denoiser
from n2b.runtime.commands.images import run_images
from n2b.runtime.commands.jobs import Plan
from n2b.runtime.commands.settings import DenoiserOptions
from n2b.runtime.errors import ImageError
from n2b.runtime.images.image import Image, read_image, write_image
from n2b.runtime.pipelines.job import Job

ALL_LEVELS = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_all_65536_levels_come_through_a_float32_model_bit_by_bit(make_model, tmp_path, suffix, channels):
    ramp = np.concatenate([ALL_LEVELS, ALL_LEVELS[::-1], ALL_LEVELS.transpose(1, 0, 2)][:channels], axis=2)
    source, result = tmp_path / f"ramp.{suffix}", tmp_path / f"out.{suffix}"
    write_image(source, Image(ramp))
    model = make_model("identity", io="float32")
    run_images(Plan([Job(source, result)]), DenoiserOptions(model, tile=96))
    np.testing.assert_array_equal(read_image(result).pixels, ramp)
    assert read_image(result).pixels.dtype == np.uint16


def test_floating_point_comes_through_a_float32_model_bit_by_bit(make_model, tmp_path):
    pixels = np.random.default_rng(0).random((40, 50, 3), np.float32)
    write_image(tmp_path / "deep.tif", Image(pixels))
    model = make_model("identity", io="float32")
    run_images(Plan([Job(tmp_path / "deep.tif", tmp_path / "out.tif")]), DenoiserOptions(model))
    np.testing.assert_array_equal(read_image(tmp_path / "out.tif").pixels, pixels)


def test_a_network_gives_16_bit_images_more_levels_than_8_bit_has(make_model):
    image = np.random.default_rng(0).integers(20000, 40000, (96, 96, 3), dtype=np.uint16)
    with Denoiser(make_model("unet", io="float32")) as denoise:
        result = denoise(image)
    assert len(np.unique(result)) > 5_000


@pytest.mark.parametrize(
    ("name", "fields", "source"),
    [
        ("my model.onnx", {}, "'{folder}/my model.onnx'"),
        ("model.fp16.onnx", {"precision": "fp16"}, "MODEL"),
        ("run/model.fp16.onnx", {"precision": "fp16"}, "{folder}/run/model.onnx"),
    ],
)
def test_the_refusal_names_the_command_that_helps(make_model, tmp_path, name, fields, source):
    make_model(name="run/model.onnx")
    command = f"n2b-export {source.format(folder=tmp_path)} --io float32 --dynamic, or reduce it"
    with Denoiser(make_model(name=name, **fields)) as denoise, pytest.raises(ImageError) as refusal:
        denoise(ALL_LEVELS)
    assert command in str(refusal.value)


def test_a_bundled_model_is_named_by_its_name():
    with Denoiser("camera") as denoise, pytest.raises(ImageError, match="n2b-export camera --io float32"):
        denoise(ALL_LEVELS)


class TestAllow8Bit:
    def test_a_deep_image_is_rounded_to_8_bit_and_comes_back_in_its_own_depth(self, make_model, caplog):
        rounded = np.rint(ALL_LEVELS / 257).astype(np.uint8)
        with Denoiser(make_model("negative"), allow_8bit=True, tile=96) as denoise:
            result = denoise(ALL_LEVELS)
            assert re.search("256 levels are left", caplog.text)
            np.testing.assert_array_equal(result, (255 - rounded).astype(np.uint16) * 257)
            assert result.dtype == np.uint16

    def test_floating_point_is_clipped_and_rounded(self, make_model):
        image = np.array([[[-0.2], [0.5], [1.7], [1.4 / 255]]], np.float32)
        with Denoiser(make_model("identity"), allow_8bit=True) as denoise:
            result = denoise(image)
        np.testing.assert_allclose(result.ravel() * 255, [0, 128, 255, 1], atol=1e-4)
        assert result.dtype == np.float32

    def test_strength_mixes_with_the_levels_of_the_image_itself(self, make_model):
        with Denoiser(make_model("identity"), allow_8bit=True) as denoise:
            np.testing.assert_array_equal(denoise(ALL_LEVELS, 0), ALL_LEVELS)
            assert len(np.unique(denoise(ALL_LEVELS, 0.5))) > 10_000

    def test_it_is_logged_once_and_of_deep_images_only(self, make_model, caplog):
        with Denoiser(make_model("identity"), allow_8bit=True) as denoise:
            denoise(np.zeros((4, 4, 3), np.uint8))
            assert not caplog.messages
            denoise(ALL_LEVELS)
            denoise(ALL_LEVELS)
            assert len(caplog.messages) == 1

    def test_a_float32_model_keeps_all_levels_whatever_is_allowed(self, make_model):
        with Denoiser(make_model("identity", io="float32"), allow_8bit=True) as denoise:
            np.testing.assert_array_equal(denoise(ALL_LEVELS), ALL_LEVELS)
