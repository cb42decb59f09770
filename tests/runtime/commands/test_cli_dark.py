"""Dark frames given to n2b-infer."""

from __future__ import annotations

import numpy as np
import pytest
from n2b.runtime.cli import SOME_FAILED
from n2b.runtime.images.image import Image, read_image, write_image

from .images import only_line, random_image


class TestDark:
    @pytest.fixture
    def dark(self, tmp_path):
        """dark/0.png … 7.png: black level 10, and a hot column."""
        pixels = np.full((24, 30, 3), 10, np.uint8)
        pixels[:, 7] = 50
        for number in range(8):
            write_image(tmp_path / "dark" / f"{number}.png", Image(pixels))
        return tmp_path / "dark"

    def without_column(self, seed: int) -> np.ndarray:
        pixels = random_image(seed=seed).astype(int)
        pixels[:, 7] -= 40
        return pixels.clip(0, 255).astype(np.uint8)

    def test_the_pattern_is_subtracted_from_images(self, n2b_infer, make_model, photos, dark, tmp_path):
        status, _, err = n2b_infer(photos, "-o", "out", "-m", make_model("negative"), "--dark", dark)
        assert status == 0 and "warning" not in err
        for seed, name in enumerate(("a.png", "b.png", "trip/c.png")):
            result = read_image(tmp_path / "out" / name).pixels
            np.testing.assert_array_equal(result, 255 - self.without_column(seed))

    def test_results_of_other_dark_frames_are_not_skipped(self, n2b_infer, make_model, photos, dark):
        arguments = (photos, "-o", "out", "-m", make_model("negative"), "--skip-existing")
        n2b_infer(*arguments)
        assert n2b_infer(*arguments, "--dark", dark)[1].startswith("3 images denoised")
        assert "3 skipped" in n2b_infer(*arguments, "--dark", dark)[1]
        write_image(dark / "0.png", Image(random_image() // 8))
        assert n2b_infer(*arguments, "--dark", dark)[1].startswith("3 images denoised")

    def test_an_image_of_another_size_is_left_out(self, n2b_infer, make_model, photos, dark):
        write_image(photos / "wide.png", Image(random_image(24, 31)))
        status, out, err = n2b_infer(photos, "-o", "out", "-m", make_model("negative"), "--dark", dark)
        assert status == SOME_FAILED and out.startswith("3 images denoised")
        assert "wide.png has 31×24 px and the dark frames have 30×24 px" in err

    def test_a_large_image_in_strips_is_done_the_same(self, n2b_infer, make_model, tmp_path, monkeypatch):
        pytest.importorskip("tifffile")
        noise = np.random.default_rng(5).integers(0, 30, (300, 70, 3), dtype=np.uint8)
        pixels = random_image(300, 70)
        write_image(tmp_path / "large.tif", Image(pixels))
        write_image(tmp_path / "d.png", Image(noise))
        arguments = ("large.tif", "-m", make_model("negative"), "--dark", "d.png", "--tile", 64)
        assert n2b_infer(*arguments, "-o", "whole.tif")[0] == 0
        monkeypatch.setattr("n2b.runtime.pipelines.strips.find_large", lambda jobs, _: list(jobs))
        status, _, err = n2b_infer(*arguments, "-o", "strips.tif")
        assert status == 0 and "in strips of" in err
        whole, strips = (read_image(tmp_path / f"{name}.tif").pixels for name in ("whole", "strips"))
        np.testing.assert_array_equal(strips, whole)
        expected = np.clip(pixels - (noise - np.median(noise, axis=(0, 1))), 0, 255)
        np.testing.assert_allclose(whole, 255 - expected, atol=0.5)
        write_image(tmp_path / "d.png", Image(np.vstack([noise, noise])))
        status, _, err = n2b_infer(*arguments, "-o", "strips.tif")
        assert status == 2 and "has 70×300 px and the dark frames have 70×600 px" in err

    def test_frames_of_a_video_or_camera_are_treated_alike(
        self, n2b_infer, make_model, photos, dark, tmp_path
    ):
        model = make_model("negative")
        status, _, _ = n2b_infer("--camera", photos / "a.png", "-o", "frames", "-m", model, "--dark", dark)
        assert status == 0
        (path,) = (tmp_path / "frames").iterdir()
        np.testing.assert_array_equal(read_image(path).pixels, 255 - self.without_column(0))

    def test_a_model_that_was_trained_without_the_pattern_wants_dark_frames(
        self, n2b_infer, make_model, photos, dark
    ):
        model = make_model("negative", trained={"dark_frames": True})
        assert "give the same dark frames with --dark" in n2b_infer(photos, "-o", "out", "-m", model)[2]
        assert "warning" not in n2b_infer(photos, "-o", "out", "-m", model, "--dark", dark)[2]

    def test_it_does_not_go_with_the_dnd_benchmark(self, n2b_infer, dark):
        status, _, err = n2b_infer("--dnd", "x", "--submission", "y", "--dark", dark)
        assert status == 2 and "--dark" in only_line(err)
