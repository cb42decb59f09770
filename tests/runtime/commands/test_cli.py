"""n2b-infer from its command line: what it prints, what it writes, what it exits with."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from n2b.runtime.cli import SOME_FAILED, main
from n2b.runtime.images.image import Image, read_image, write_image
from n2b.runtime.images.metrics import psnr
from n2b.runtime.inference import tile_size as sizing

from .images import only_line, random_image


class TestFiles:
    def test_a_folder_is_denoised_into_another(self, n2b_infer, make_model, photos, tmp_path):
        status, out, err = n2b_infer(photos, "-o", "out", "-m", make_model("negative"), "--tile", 16)
        assert status == 0
        for seed, name in enumerate(("a.png", "b.png", "trip/c.png")):
            np.testing.assert_array_equal(
                read_image(tmp_path / "out" / name).pixels, 255 - random_image(seed=seed)
            )
        assert only_line(out).startswith("3 images denoised: 0.00 MP in ")
        assert only_line(err).startswith(
            f"model {tmp_path}/model.onnx (negative, fp32, uint8), onnxruntime on "
        )

    def test_one_image_is_denoised_beside_itself(self, n2b_infer, make_model, photos):
        assert n2b_infer(photos / "a.png", "-m", make_model("negative"))[0] == 0
        np.testing.assert_array_equal(read_image(photos / "a_denoised.png").pixels, 255 - random_image())

    def test_the_latest_export_is_used_without_a_model_named(self, n2b_infer, make_model, photos):
        make_model("negative", name="exports/latest/model.onnx")
        status, _, err = n2b_infer(photos / "a.png")
        assert status == 0 and "exports/latest/model.onnx" in err

    def test_strength_mixes(self, n2b_infer, make_model, photos):
        n2b_infer(photos / "a.png", "-o", "x.png", "-m", make_model("negative"), "--strength", 0)
        np.testing.assert_array_equal(read_image("x.png").pixels, random_image())

    def test_flags_take_dashes_and_underscores(self, n2b_infer, make_model, photos):
        model = make_model("unet")
        for flag in ("--tile-overlap", "--tile_overlap"):
            status, _, err = n2b_infer(photos / "a.png", "-m", model, flag, 20)
            assert status == 0 and "overlap 20 px" in err

    def test_finished_results_are_skipped_when_asked(self, n2b_infer, make_model, photos, tmp_path):
        arguments = (photos, "-o", "out", "-m", make_model("negative"))
        n2b_infer(*arguments)
        status, out, _ = n2b_infer(*arguments, "--skip-existing")
        assert (status, only_line(out)) == (0, "0 images denoised, 3 skipped")
        write_image(photos / "a.png", Image(random_image(seed=9)))
        status, out, _ = n2b_infer(*arguments, "--skip-existing")
        assert status == 0 and out.startswith("1 image denoised, 2 skipped, 1 made again:")
        np.testing.assert_array_equal(read_image(tmp_path / "out/a.png").pixels, 255 - random_image(seed=9))

    def test_a_bad_file_is_reported_and_the_rest_done(self, n2b_infer, make_model, photos, tmp_path):
        (photos / "b.png").write_bytes(b"no image")
        status, out, err = n2b_infer(photos, "-o", "out", "-m", make_model("negative"))
        assert status == SOME_FAILED == 3
        assert "2 images denoised, 1 failed" in out
        assert re.search(r"^warning: left out: .*photos/b\.png is not a PNG", err, re.MULTILINE)
        assert re.search(r"^failed, 1 of 3:\n  .*photos/b\.png is not a PNG.*\n\Z", err, re.MULTILINE)
        assert sorted(p.name for p in (tmp_path / "out").rglob("*.png")) == ["a.png", "c.png"]

    def test_an_image_that_the_model_cannot_take_is_named(self, n2b_infer, make_model, photos):
        write_image(photos / "deep.png", Image(np.zeros((8, 8, 3), np.uint16)))
        status, _, err = n2b_infer(photos, "-o", "out", "-m", make_model())
        assert status == 3
        assert re.search(r"^warning: left out: .*photos/deep\.png: this model takes 8-bit", err, re.MULTILINE)

    def test_a_deep_image_for_an_8_bit_model_names_the_way(self, n2b_infer, make_model, tmp_path):
        write_image(tmp_path / "deep.png", Image(np.zeros((8, 8, 3), np.uint16)))
        status, out, err = n2b_infer("deep.png", "-m", make_model())
        assert (status, out) == (2, "")
        assert "model.onnx --io float32 --dynamic" in err.splitlines()[-1]

    def test_an_8_bit_model_takes_a_deep_image_where_that_is_allowed(self, n2b_infer, make_model, tmp_path):
        write_image(tmp_path / "deep.png", Image(np.full((8, 8, 3), 1000, np.uint16)))
        status, out, err = n2b_infer(
            "deep.png", "-o", "x.png", "-m", make_model("negative"), "--allow-8bit", "--json"
        )
        assert status == 0 and json.loads(out)["asked"]["allow_8bit"]
        assert "warning: images of uint16 go through a model that takes 8 bit" in err
        np.testing.assert_array_equal(read_image("x.png").pixels, (255 - 4) * 257)

    def test_deep_and_transparent_images_keep_what_they_have(self, n2b_infer, make_model, tmp_path):
        deep = np.arange(8 * 8 * 3, dtype=np.uint16).reshape(8, 8, 3) * 300
        alpha = deep[..., 0] + np.uint16(7)
        write_image(tmp_path / "deep.png", Image(deep, alpha))
        n2b_infer("deep.png", "-o", "x.png", "-m", make_model("negative", io="float32"))
        result = read_image("x.png")
        np.testing.assert_array_equal(result.pixels, 65535 - deep)
        assert result.alpha is not None
        np.testing.assert_array_equal(result.alpha, alpha)


class TestLargeFiles:
    @pytest.fixture
    def scan(self, tmp_path, monkeypatch):
        pytest.importorskip("tifffile")
        monkeypatch.setattr(sizing, "available_bytes", lambda: 12e6)  # of which half is allowed
        write_image(tmp_path / "scans/large.tif", Image(random_image(1200, 900)))
        write_image(tmp_path / "scans/small.tif", Image(random_image()))
        return tmp_path / "scans"

    def test_tiff_files_beyond_the_memory_are_denoised_in_strips(self, n2b_infer, make_model, scan):
        arguments = (scan, "-o", "out", "-m", make_model("negative"), "--json")
        status, out, err = n2b_infer(*arguments)
        report = json.loads(out)
        assert (status, report["denoised"]) == (0, 2)
        assert [(image["in_strips"], image["height"]) for image in report["images"]] == [
            (False, 24),
            (True, 1200),
        ]
        assert re.search(r"large\.tif: 900×1200 px, in strips of \d+ rows", err)
        assert "small.tif" not in err
        np.testing.assert_array_equal(read_image("out/large.tif").pixels, 255 - random_image(1200, 900))
        np.testing.assert_array_equal(read_image("out/small.tif").pixels, 255 - random_image())

    def test_one_that_is_damaged_fails_alone(self, n2b_infer, make_model, scan):
        (scan / "large.tif").write_bytes((scan / "large.tif").read_bytes()[:-500_000])
        arguments = (scan, "-o", "out", "-m", make_model("negative"))
        status, out, _ = n2b_infer(*arguments)
        assert status == 3 and "1 image denoised, 1 failed" in out


class TestMistakes:
    def test_nothing_named_says_what_to_give(self, n2b_infer):
        status, out, err = n2b_infer()
        assert (status, out) == (2, "")
        assert only_line(err).startswith(
            "n2b-infer: nothing to denoise: name image files, folders or globs, or a cam"
        )

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (["photos/a.png", "--suffix", ""], "would overwrite the input"),
            (["photos/a.png", "--tile", "large"], "--tile takes auto, 0"),
            (["photos/a.png", "--tile", "-1"], "--tile takes auto, 0"),
            (["photos/a.png", "--strength", "1.5"], "--strength is 1.5"),
            (["photos/a.png", "--frames", "3"], "name one with --camera"),
            (["photos/a.png", "--serve", "8080"], "name one with --camera"),
            (["photos/a.png", "--reference", "missing"], "missing is no folder"),
            (["photos/a.png", "--device", "tpu"], "no device 'tpu'"),
            (["photos/a.png", "--backend", "tflite"], "tflite"),
            (["photos/a.png", "--backend", "tensorrt"], "tensorrt needs an engine"),
            (["photos/a.png", "-m", "missing.onnx"], "there is no model missing.onnx"),
            (["missing.png"], "missing.png: there is no such file or folder"),
            (["photos/a.png", "--camera", "0"], "cannot be denoised in one run"),
            (["--camera", "0", "--suffix", "_x"], "are for images, not for a camera"),
            (["--camera", "0", "-o", "x.png"], "x.png names a file"),
            (["--camera", "0", "-o", "x.heic"], "x.heic names a file"),
            (["photos/a.png", "--tile-ovelap", "3"], "No such option"),
        ],
    )
    @pytest.mark.usefixtures("photos")
    def test_a_mistake_ends_in_one_line_and_status_2(
        self, n2b_infer, make_model, tmp_path, arguments, reason
    ):
        if "-m" not in arguments:
            arguments = [*arguments, "-m", make_model()]
        before = sorted(tmp_path.rglob("*"))
        status, out, err = n2b_infer(*arguments)
        assert (status, out) == (2, "")
        assert reason in only_line(err)
        assert sorted(tmp_path.rglob("*")) == before

    def test_debug_shows_the_traceback(self, n2b_infer):
        assert "Traceback" in n2b_infer("missing.png", "--debug")[2]


class TestReports:
    def test_reference_gives_psnr_and_ssim_of_each_and_the_mean(
        self, n2b_infer, make_model, photos, tmp_path
    ):
        for seed, name in enumerate(("a.png", "b.png", "trip/c.png")):
            write_image(tmp_path / "clean" / name, Image(random_image(seed=seed + 10)))
        _, out, _ = n2b_infer(photos, "-o", "out", "-m", make_model("blur"), "--reference", "clean")
        lines = out.splitlines()
        assert [line.split()[0].rpartition("/")[2] for line in lines[1:5]] == [
            "a.png",
            "b.png",
            "c.png",
            "mean",
        ]
        values = np.array([[float(value) for value in line.split()[1:]] for line in lines[1:5]])
        np.testing.assert_allclose(values[3], values[:3].mean(axis=0), atol=0.01)
        assert values[0, 0] == pytest.approx(psnr(random_image(seed=0), random_image(seed=10)), abs=0.005)
        denoised = read_image(tmp_path / "out/a.png").pixels
        assert values[0, 1] == pytest.approx(psnr(denoised, random_image(seed=10)), abs=0.005)

    def test_json_is_one_object_and_all_there_is(self, n2b_infer, make_model, photos, tmp_path):
        (photos / "b.png").write_bytes(b"no image")
        write_image(tmp_path / "clean/a.png", Image(random_image()))
        write_image(tmp_path / "clean/b.png", Image(random_image()))
        write_image(tmp_path / "clean/trip/c.png", Image(random_image()))
        status, out, _ = n2b_infer(
            photos, "-o", "out", "-m", make_model("negative"), "--json", "--reference", "clean", "--tile", 16
        )
        report = json.loads(only_line(out))
        assert status == 3
        assert (report["denoised"], report["skipped"], report["failed"]) == (2, 0, 1)
        assert report["asked"]["backend"] == "auto" and report["used"]["backend"] == "onnxruntime"
        assert report["used"]["tile_hw"] == [16, 16]
        first, second, _ = report["images"]
        assert (first["height"], first["width"], first["error"]) == (24, 30, None)
        assert list(first["ms"]) == ["read", "tiles", "model", "stitch", "write"]
        assert first["noisy"] == {"psnr_db": None, "ssim": 1.0}  # the image is its own reference
        assert "b.png" in second["error"] and second["destination"] is None
        assert report["megapixels"] == pytest.approx(2 * 24 * 30 / 1e6)

    def test_the_summary_says_where_the_results_are(self, n2b_infer, make_model, photos):
        model = make_model()
        assert n2b_infer(photos, "-o", "out", "-m", model)[1].endswith("MP/s → out\n")
        assert n2b_infer(photos / "a.png", "-o", "one.png", "-m", model)[1].endswith("MP/s → one.png\n")
        beside = n2b_infer(photos / "a.png", photos / "b.png", "-m", model)[1]
        assert beside.endswith(f"MP/s → {photos}\n")

    def test_results_that_share_no_folder_are_told_too(self, n2b_infer, make_model, photos):
        status, out, _ = n2b_infer("photos/a.png", photos / "trip/c.png", "-m", make_model())
        assert status == 0 and out.endswith("MP/s → 2 folders\n")
        assert n2b_infer("photos/b.png", "photos/trip/c.png", "-m", make_model())[1].endswith("→ photos\n")

    def test_benchmark_prints_the_time_of_each_stage(self, n2b_infer, make_model, photos):
        _, out, _ = n2b_infer(photos, "-o", "out", "-m", make_model(), "--benchmark")
        lines = out.splitlines()
        assert lines[0].split() == ["ms", "an", "image", "p50", "p95", "p99"]
        stages, *times = zip(*(line.split() for line in lines[1:6]), strict=True)
        assert stages == ("read", "tiles", "model", "stitch", "write")
        p50, p95, p99 = (np.array(column, float) for column in times)
        assert (p50 >= 0).all() and (p50 <= p95).all() and (p95 <= p99).all()


def test_a_process_of_its_own_runs_it(make_model, photos, tmp_path):
    command = [sys.executable, "-c", "from n2b.runtime.cli import main; main()"]
    ran = subprocess.run(
        [*command, photos / "a.png", "-o", tmp_path / "x.png", "-m", make_model("negative")],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.stdout.startswith("1 image denoised")
    np.testing.assert_array_equal(read_image(tmp_path / "x.png").pixels, 255 - random_image())


@pytest.mark.parametrize("arguments", [
    ["", "-o", "out"], ["a.png", "-o", ""], ["--camera", ""], ["a.png", "--reference", " "],
    ["a.png", "--out="],
])  # fmt: skip
def test_an_empty_argument_is_not_this_folder(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "a.png", Image(np.zeros((8, 8, 3), np.uint8)))
    monkeypatch.setattr(sys, "argv", ["n2b-infer", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "an empty name" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
