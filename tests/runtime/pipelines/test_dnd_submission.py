"""Submissions to the DND benchmark's server: the files of its own scripts, with the whole image's result."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from n2b.runtime import Denoiser, cli
from n2b.runtime.images.dnd import list_crops

from ..conftest import UNET_RADIUS_PX
from ..fakes.dnd_folder import BOX_PX, BOXES, SIZES, make_folder, top_left

h5py = pytest.importorskip("h5py")
scipy_io = pytest.importorskip("scipy.io")

IMAGES = range(1, len(SIZES) + 1)


@pytest.fixture
def benchmark(tmp_path):
    return make_folder(tmp_path / "dnd")


@pytest.fixture
def submit(benchmark, n2b_infer):
    """submit(*arguments) → (exit status, stdout, stderr) of n2b-infer over the folder, into `out`."""
    return lambda *arguments: n2b_infer("--dnd", benchmark[0], "--submission", "out", *arguments)


def crop_of(image: np.ndarray, number: int, box: int) -> np.ndarray:
    top, left = top_left(number - 1, box - 1)
    return image[top : top + BOX_PX, left : left + BOX_PX]


def test_the_bundle_is_that_of_the_benchmark_s_own_scripts(submit, benchmark, make_model, tmp_path):
    status, out, _ = submit("-m", make_model("negative", io="float32"))
    assert status == 0 and out.startswith("3 images denoised")
    visible = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.mat")}
    crops = {f"{image:04d}_{box:02d}.mat" for image in IMAGES for box in range(1, BOXES + 1)}
    assert visible == crops | {f"bundled/{image:04d}.mat" for image in IMAGES}
    for number in IMAGES:
        bundle = scipy_io.loadmat(tmp_path / f"out/bundled/{number:04d}.mat")
        assert bundle["Idenoised"].shape == (1, BOXES) and bundle["Idenoised"].dtype == object
        assert bundle["israw"].dtype in (bool, np.uint8) and not bundle["israw"].item()
        assert bundle["eval_version"].tolist() == ["1.0"]
        for box in range(1, BOXES + 1):
            crop = scipy_io.loadmat(tmp_path / f"out/{number:04d}_{box:02d}.mat")["Idenoised_crop"]
            assert (crop.dtype, crop.shape) == (np.float32, (BOX_PX, BOX_PX, 3))
            np.testing.assert_allclose(crop, 1 - crop_of(benchmark[1][number - 1], number, box), atol=1e-6)
            np.testing.assert_array_equal(bundle["Idenoised"][0, box - 1], crop)
    assert sorted(path.name for path in (tmp_path / "out/bundled").iterdir()) == [
        f"{image:04d}.mat" for image in IMAGES
    ]


def test_a_box_has_what_the_whole_image_s_result_has_there(submit, benchmark, make_model, tmp_path):
    model = make_model("unet", io="float32")
    assert submit("-m", model, "--tile-overlap", UNET_RADIUS_PX, "--strength", 0.7)[0] == 0
    with Denoiser(model, tile=0) as denoise:
        for number, image in enumerate(benchmark[1], start=1):
            whole = denoise(image.astype(np.float32), 0.7)
            assert whole.std() > 0.1
            for box in range(1, BOXES + 1):
                crop = scipy_io.loadmat(tmp_path / f"out/{number:04d}_{box:02d}.mat")["Idenoised_crop"]
                np.testing.assert_allclose(crop, crop_of(whole, number, box).clip(0, 1), atol=1e-5)


class TestDepth:
    def test_a_model_of_8_bit_is_refused_with_the_command_that_helps(self, submit, make_model, tmp_path):
        model = make_model("negative")
        status, _, err = submit("-m", model)
        assert status == 2
        assert f"n2b-export {model} --io float32 --dynamic" in err.splitlines()[-1]
        assert not (tmp_path / "out").exists()

    def test_it_is_used_where_that_is_allowed(self, submit, benchmark, make_model, tmp_path):
        status, _, err = submit("-m", make_model("negative"), "--allow-8bit")
        assert status == 0 and "256 levels are left" in err
        crop = scipy_io.loadmat(tmp_path / "out/0002_03.mat")["Idenoised_crop"]
        levels = 255 - np.rint(crop_of(benchmark[1][1], 2, 3) * 255)
        np.testing.assert_allclose(crop, levels / 255, atol=1e-6)


class TestSecondRun:
    def test_finished_images_are_skipped(self, submit, benchmark, make_model, tmp_path):
        arguments = ("-m", make_model("negative", io="float32"), "--skip-existing")
        assert submit(*arguments)[1].startswith("3 images denoised:")
        assert submit(*arguments)[1].startswith("0 images denoised, 3 skipped")
        (tmp_path / "out/0001_02.mat").unlink()
        (tmp_path / "out/bundled/0002.mat").unlink()
        assert submit(*arguments)[1].startswith("2 images denoised, 1 skipped, 1 made again")
        make_folder(tmp_path / "other", sizes=SIZES[::-1])
        (tmp_path / "other/images_srgb/0001.mat").replace(benchmark[0] / "images_srgb/0001.mat")
        assert submit(*arguments)[1].startswith("1 image denoised, 2 skipped, 1 made again")

    def test_other_boxes_make_other_results(self, submit, benchmark, make_model, tmp_path):
        arguments = ("-m", make_model("negative", io="float32"), "--skip-existing")
        submit(*arguments)
        corners = [[(0, 0)] * BOXES] * len(SIZES)
        make_folder(tmp_path / "other", corners=corners)
        (tmp_path / "other/info.mat").replace(benchmark[0] / "info.mat")
        assert submit(*arguments)[1].startswith("3 images denoised, 3 made again")


def test_an_image_that_is_damaged_is_named_and_not_bundled(submit, benchmark, make_model, tmp_path):
    (benchmark[0] / "images_srgb/0002.mat").write_bytes(b"no HDF5")
    status, out, err = submit("-m", make_model("negative", io="float32"), "--json")
    assert status == 3
    report = json.loads(out)
    assert (report["denoised"], report["failed"]) == (2, 1)
    assert [image["error"] is None for image in report["images"]] == [True, False, True]
    assert report["megapixels"] == pytest.approx(2 * BOXES * BOX_PX**2 / 1e6)
    assert "0002.mat" in err.splitlines()[-1]
    assert not (tmp_path / "out/bundled/0002.mat").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--dnd", "dnd"], "give both"),
        (["--submission", "out"], "give both"),
        (["--dnd", "dnd", "--submission", "out", "photo.png"], "no images"),
        (["--dnd", "dnd", "--submission", "out", "--ext", "png"], "no images"),
        (["--dnd", "dnd", "--submission", "out", "--record", "clean.mp4"], "no images, camera"),
        (["--dnd", "dnd", "--submission", "out", "--show"], "no images, camera"),
        (["--dnd", "missing", "--submission", "out"], "not the DND benchmark"),
    ],
)
@pytest.mark.usefixtures("benchmark")
def test_mistakes_end_in_one_line(tmp_path, monkeypatch, capsys, arguments, reason):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["n2b-infer", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and reason in line


@pytest.mark.slow
def test_images_of_the_benchmark_s_size(tmp_path: Path, make_model, monkeypatch, capsys):
    """5000×7000 px, twenty boxes of 512 px, at the corners among them."""
    height, width, box_px = 5000, 7000, 512
    random = np.random.default_rng(1)
    corners = [(0, 0), (0, width - box_px), (height - box_px, 0), (height - box_px, width - box_px)]
    corners += [
        (int(random.integers(height - box_px)), int(random.integers(width - box_px))) for _ in range(16)
    ]
    folder, (image,) = make_folder(tmp_path / "dnd", [(height, width)], [corners], box_px)
    assert len(list_crops(folder)) == 20
    command = ["--dnd", folder, "--submission", tmp_path / "out", "-m", make_model("negative", io="float32")]
    monkeypatch.setattr(sys, "argv", ["n2b-infer", *map(str, command), "--tile", "640"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0 and "5.24 MP" in capsys.readouterr().out
    cells = scipy_io.loadmat(tmp_path / "out/bundled/0001.mat")["Idenoised"]
    assert cells.shape == (1, 20)
    for (top, left), crop in zip(corners, cells[0], strict=True):
        expected = 1 - image[top : top + box_px, left : left + box_px]
        assert crop.dtype == np.float32
        np.testing.assert_allclose(crop, expected, atol=1e-6)
