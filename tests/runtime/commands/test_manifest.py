"""Finished results are not made again; those made from something else, or perhaps unfinished, are."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from n2b.runtime.commands.images import run_images
from n2b.runtime.commands.jobs import plan_jobs
from n2b.runtime.commands.manifest import RECORD, Manifest, ManifestKey, model_identities, sha256_of_loaded
from n2b.runtime.commands.report import RunReport
from n2b.runtime.commands.settings import DenoiserOptions, OutputPlan
from n2b.runtime.errors import ModelError
from n2b.runtime.images.image import Image, read_image, write_image
from n2b.runtime.pipelines import images as inference
from n2b.runtime.pipelines.job import Job
from n2b.runtime.sources import find_images

NAMES = ("a.png", "b.png", "deep/c.tif")

KILLED_AT_ONCE = """
import os, sys
from n2b.runtime.system.files import atomic_path
with atomic_path(sys.argv[1] + "/x.png"):
    os.kill(os.getpid(), 9)
"""


def random_image(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (24, 30, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with in/{a,b}.png and in/deep/c.tif."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(NAMES):
        write_image(tmp_path / "in" / name, Image(random_image(seed)))
    return tmp_path


@pytest.fixture
def denoise(folder, make_model):
    """denoise(**options) → the report of a run over the folder that skips what is finished."""
    model = make_model("negative")

    def run(
        strength: float = 1.0,
        *,
        out: str = "out",
        ext: str | None = None,
        skip_existing: bool = True,
        **options,
    ) -> RunReport:
        plan = plan_jobs([folder / "in"], OutputPlan(Path(out), ext=ext))
        settings = DenoiserOptions(**{"model": model, "strength": strength, **options})
        return run_images(plan, settings, skip_existing=skip_existing)[1]

    return run


def counts(report: RunReport) -> tuple[int, int, int]:
    return report.denoised, report.skipped, report.made_again


class TestSecondRun:
    def test_it_skips_what_the_first_has_finished(self, denoise, folder):
        assert counts(denoise(skip_existing=False)) == (3, 0, 0)
        before = [(folder / "out" / name).stat().st_mtime_ns for name in NAMES]
        assert counts(denoise()) == (0, 3, 0)
        assert [(folder / "out" / name).stat().st_mtime_ns for name in NAMES] == before

    @pytest.mark.parametrize("skip_existing", [True, False])
    def test_it_removes_what_a_killed_run_left(self, denoise, folder, skip_existing):
        denoise()
        for place in ("out", "out/deep"):
            subprocess.run([sys.executable, "-c", KILLED_AT_ONCE, folder / place], check=False)
        assert len(list((folder / "out").rglob(".n2b-*.part.png"))) == 2
        denoise(skip_existing=skip_existing)
        left = {path.name for path in (folder / "out").rglob(".*")}
        assert left == {RECORD}

    def test_another_place_is_another_result(self, denoise):
        denoise()
        assert counts(denoise(out="elsewhere")) == (3, 0, 0)

    def test_a_result_of_another_input_is_made_again(self, denoise, folder):
        denoise()
        status = (folder / "in/a.png").stat()
        write_image(folder / "in/a.png", Image(random_image(7)))
        os.utime(folder / "in/a.png", ns=(status.st_atime_ns, status.st_mtime_ns))  # as cp -p leaves it
        assert counts(denoise()) == (1, 2, 1)
        np.testing.assert_array_equal(read_image(folder / "out/a.png").pixels, 255 - random_image(7))
        assert counts(denoise()) == (0, 3, 0)

    def test_a_result_of_another_model_is_made_again(self, denoise, make_model, folder):
        denoise()
        other = make_model("identity", name="other.onnx")
        assert counts(denoise(model=other)) == (3, 0, 3)
        np.testing.assert_array_equal(read_image(folder / "out/a.png").pixels, random_image(0))
        assert counts(denoise(model=other)) == (0, 3, 0)
        assert counts(denoise()) == (3, 0, 3)

    @pytest.mark.parametrize("options", [{"strength": 0.5}, {"halo_px": 3}, {"allow_8bit": True}])
    def test_a_result_with_other_settings_is_made_again(self, denoise, options):
        denoise()
        assert counts(denoise(**options)) == (3, 0, 3)
        assert counts(denoise(**options)) == (0, 3, 0)

    def test_the_size_of_the_tiles_is_no_such_setting(self, denoise):
        denoise(tile=16)
        assert counts(denoise(tile=8)) == (0, 3, 0)

    def test_a_result_that_is_gone_or_not_what_was_written_is_made_again(self, denoise, folder):
        denoise()
        (folder / "out/a.png").unlink()
        (folder / "out/b.png").write_bytes(b"something else")
        assert counts(denoise()) == (2, 1, 1)

    def test_a_result_that_another_run_replaced_without_a_record_is_made_again(self, denoise, folder):
        denoise(ext="bmp")
        write_image(folder / "out/a.bmp", Image(random_image(5)))  # of the same size in bytes
        assert counts(denoise(ext="bmp")) == (1, 2, 1)

    def test_a_result_that_nothing_is_known_of_is_made_again(self, denoise, folder):
        write_image(folder / "out/a.png", Image(random_image(5)))
        assert counts(denoise()) == (3, 0, 1)

    def test_an_image_that_failed_is_tried_again(self, denoise, folder):
        (folder / "in/a.png").write_bytes(b"no image")
        assert (denoise().failed, denoise().failed) == (1, 1)


class TestChangesMeanwhile:
    def during_the_run(self, monkeypatch, change) -> None:
        """Call `change` when the second image is read."""
        read, number = inference.read_image, iter(range(100))

        def changed(path, **options):
            if next(number) == 1:
                change()
            return read(path, **options)

        monkeypatch.setattr(inference, "read_image", changed)

    def test_a_model_that_is_replaced_stays_in_use_and_on_record(
        self, denoise, make_model, folder, monkeypatch
    ):
        new = make_model("identity", name="new.onnx")
        old = (folder / "model.onnx").read_bytes()
        with monkeypatch.context() as patch:
            self.during_the_run(patch, lambda: new.replace(folder / "model.onnx"))
            assert counts(denoise()) == (3, 0, 0)
        for seed, name in enumerate(NAMES):
            np.testing.assert_array_equal(
                read_image(folder / "out" / name).pixels, 255 - random_image(seed), err_msg=name
            )
        is_new = (folder / "model.onnx").read_bytes() != old
        assert is_new and counts(denoise()) == (3, 0, 3)
        np.testing.assert_array_equal(read_image(folder / "out/a.png").pixels, random_image(0))

    def test_a_model_that_is_replaced_while_it_is_loaded_is_told(self, make_model):
        model = make_model("negative")
        before = model_identities(model)
        assert len(sha256_of_loaded(model, before, may_be_rebuilt=False)) == 64
        make_model("identity")
        with pytest.raises(ModelError, match="replaced while it was being loaded; start again"):
            sha256_of_loaded(model, before, may_be_rebuilt=False)

    def test_an_input_that_changes_is_not_recorded_as_done(self, denoise, folder, monkeypatch):
        with monkeypatch.context() as patch:
            self.during_the_run(patch, lambda: write_image(folder / "in/b.png", Image(random_image(8))))
            assert counts(denoise()) == (3, 0, 0)
        assert counts(denoise()) == (1, 2, 1)
        np.testing.assert_array_equal(read_image(folder / "out/b.png").pixels, 255 - random_image(8))


class TestRecord:
    def test_a_line_that_was_cut_short_is_passed_over(self, denoise, folder):
        denoise()
        record = folder / "out" / RECORD
        lines = record.read_bytes().splitlines()
        record.write_bytes(lines[0] + b"\n" + lines[1][:30])
        assert counts(denoise()) == (1, 2, 1)
        assert counts(denoise()) == (0, 3, 0)

    @pytest.mark.parametrize(
        "text", [b"[1, 2]\n", b'{"result": 3}\n', b"\xff\xfe\n", b'{"result": "a.png"}\n']
    )
    def test_what_is_no_entry_is_passed_over(self, denoise, folder, text):
        (folder / "out").mkdir()
        (folder / "out" / RECORD).write_bytes(text)
        assert counts(denoise()) == (3, 0, 0)
        assert counts(denoise()) == (0, 3, 0)

    def test_runs_side_by_side_mix_no_lines(self, tmp_path):
        code = (
            "import sys; from pathlib import Path\n"
            "from n2b.runtime.commands.manifest import Manifest, ManifestKey\n"
            "from n2b.runtime.commands.jobs import Job\n"
            "folder, name = Path(sys.argv[1]), sys.argv[2]\n"
            "manifest = Manifest(ManifestKey(name * 64, {}))\n"
            "job = Job(folder / 'in', folder / 'out/result'); manifest.note(job)\n"
            "for _ in range(300): manifest.add(job)"
        )
        (tmp_path / "in").write_bytes(b"x")
        (tmp_path / "out").mkdir()
        runs = [subprocess.Popen([sys.executable, "-c", code, tmp_path, name]) for name in "ab"]
        assert [run.wait() for run in runs] == [0, 0]
        lines = (tmp_path / "out" / RECORD).read_bytes().splitlines()
        assert sorted(json.loads(line)["model"][0] for line in lines if line) == ["a"] * 300 + ["b"] * 300

    def test_one_that_cannot_be_written_is_told_once(self, folder, capsys):
        manifest = Manifest(ManifestKey("0" * 64, {}))
        (folder / "out" / RECORD).mkdir(parents=True)
        for name in NAMES[:2]:
            job = Job(folder / "in" / name, folder / "out" / name)
            manifest.note(job)
            manifest.add(job)
        assert capsys.readouterr().err.count("cannot be written") == 1


KILLED = """
import sys
from pathlib import Path
import numpy as np
from n2b.runtime.commands.manifest import Manifest, ManifestKey
from n2b.runtime.images.tiff import writer as tiff_writer
from n2b.runtime.system.files import atomic_path
from n2b.runtime.images.image import Image, write_image
from n2b.runtime.pipelines.job import Job
folder = Path(sys.argv[1])
(folder / "in").write_bytes(b"x")
pixels = np.random.default_rng(0).integers(0, 256, (700, 800, 3), dtype=np.uint8)
manifest = Manifest(ManifestKey("0" * 64, {}))
print("begun", flush=True)
number = 0
while True:
    for suffix in ("png", "jpg", "tif", "webp"):
        result = folder / f"{number % 3}.{suffix}"
        job = Job(folder / "in", result)
        manifest.note(job)
        write_image(result, Image(pixels))
        manifest.add(job)
    image = tiff_writer.TiffInfo(pixels.shape, pixels.dtype)
    with atomic_path(folder / "strips.tif") as temporary, open(temporary, "wb") as file:
        tiff_writer.write_bands(file, image, (pixels[top : top + 50] for top in range(0, 700, 50)))
    number += 1
"""


@pytest.mark.slow
def test_whenever_a_run_is_killed_what_has_its_final_name_is_whole(tmp_path):
    wait = random.Random(0)
    expected = np.random.default_rng(0).integers(0, 256, (700, 800, 3), dtype=np.uint8)
    parts = 0
    for _ in range(20):
        run = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path], stdout=subprocess.PIPE)
        assert run.stdout is not None and run.stdout.readline() == b"begun\n"
        time.sleep(wait.uniform(0.02, 0.5))
        run.kill()
        run.communicate()
        left = [path for path in tmp_path.iterdir() if ".part" in path.name]
        parts += len(left)
        for path in left:
            path.unlink()
        for path in tmp_path.glob("*.*"):
            if path.suffix in (".png", ".tif", ".webp"):
                np.testing.assert_array_equal(read_image(path).pixels, expected, err_msg=path.name)
            elif path.suffix == ".jpg":
                assert read_image(path).pixels.shape == expected.shape
    assert parts > 5  # most were killed amid the writing
    manifest = Manifest(ManifestKey("0" * 64, {}))
    assert manifest.has(Job(tmp_path / "in", tmp_path / "0.png"))


def test_what_a_killed_run_left_is_no_image(tmp_path):
    write_image(tmp_path / "a.png", Image(random_image()))
    (tmp_path / ".b-x8_1.part.png").write_bytes((tmp_path / "a.png").read_bytes()[:100])
    assert find_images([tmp_path]) == [tmp_path / "a.png"]
