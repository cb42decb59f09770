"""n2b-infer --watch: images that arrive while it runs, slowly, damaged, or in place of others."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from n2b.runtime.commands.settings import DenoiserOptions, OutputPlan
from n2b.runtime.commands.watch import run_watch
from n2b.runtime.images.image import Image, read_image, write_image
from n2b.runtime.sources.arrivals import Arrivals
from n2b.runtime.system.signals import Stop

from .images import random_image

PATIENCE_S = 60.0


def wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def watch(make_model, tmp_path):
    """watch() → runs in a thread until the block ends; then `.report` is there."""
    model = make_model("negative")

    @contextmanager
    def run(**outputs: object) -> Iterator[list[object]]:
        (tmp_path / "in").mkdir(exist_ok=True)
        stop, results = Stop(), []
        plan = dataclasses.replace(OutputPlan(out=tmp_path / "out", watch=True), **outputs)
        arguments = [str(tmp_path / "in")], plan, DenoiserOptions(model=model), stop
        thread = threading.Thread(target=lambda: results.append(run_watch(*arguments)[1]))
        thread.start()
        try:
            yield results
        finally:
            stop.request()
            thread.join()

    return run


class TestWatch:
    def test_images_that_are_there_and_that_arrive_are_denoised_and_skipped_by_the_next_run(
        self, watch, tmp_path
    ):
        write_image(tmp_path / "in" / "old.png", Image(random_image()))
        with watch() as results:
            wait_until((tmp_path / "out" / "old.png").exists)
            write_image(tmp_path / "in" / "sub" / "new.png", Image(random_image(seed=1)))
            wait_until((tmp_path / "out" / "sub" / "new.png").exists)
        assert (results[0].denoised, results[0].failed) == (2, 0)
        np.testing.assert_array_equal(read_image(tmp_path / "out/old.png").pixels, 255 - random_image())
        with watch() as results:
            write_image(tmp_path / "in" / "last.png", Image(random_image(seed=2)))
            wait_until((tmp_path / "out" / "last.png").exists)
        assert (results[0].denoised, results[0].skipped) == (1, 2)

    def test_a_bad_image_is_reported_once_and_tried_again_when_it_changes(self, watch, tmp_path, caplog):
        with watch() as results:
            (tmp_path / "in" / "a.png").write_bytes(b"no image")
            wait_until(lambda: "left out" in caplog.text)
            write_image(tmp_path / "in" / "b.png", Image(random_image()))
            wait_until((tmp_path / "out" / "b.png").exists)
            assert caplog.text.count("left out") == 1
            write_image(tmp_path / "in" / "a.png", Image(random_image()))
            wait_until((tmp_path / "out" / "a.png").exists)
        assert (results[0].denoised, results[0].failed) == (2, 1)

    def test_results_in_the_watched_folder_are_not_denoised_again(self, watch, tmp_path):
        with watch(out=tmp_path / "in" / "clean") as results:
            write_image(tmp_path / "in" / "a.png", Image(random_image()))
            wait_until((tmp_path / "in/clean/a.png").exists)
            write_image(tmp_path / "in" / "b.png", Image(random_image()))
            wait_until((tmp_path / "in/clean/b.png").exists)
        assert results[0].denoised == 2 and not (tmp_path / "in/clean/clean").exists()

    def test_two_images_with_one_result_do_not_overwrite_each_other(self, watch, tmp_path, caplog):
        for suffix in ("bmp", "png"):
            write_image(tmp_path / "in" / f"a.{suffix}", Image(random_image()))
        with watch(ext="png"):
            wait_until((tmp_path / "out" / "a.png").exists)
            wait_until(lambda: "would overwrite that of" in caplog.text)

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (["--watch", "-o", "out"], "needs a folder to watch"),
            (["none", "--watch", "-o", "out"], "none is no folder"),
            ([".", "--watch"], "needs a folder for the results"),
            ([".", "--watch", "-o", "out.png"], "needs a folder for the results"),
            ([".", "--watch", "-o", "."], "name another with -o"),
            (["--camera", "0", "--watch"], "not for a camera"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, n2b_infer, arguments, reason):
        status, _, err = n2b_infer(*arguments)
        assert status == 2 and reason in err


class TestArrivals:
    @pytest.fixture
    def arrivals(self, tmp_path: Path) -> Arrivals:
        return Arrivals([tmp_path], (".png",), tmp_path / "out")

    @staticmethod
    def names(arrivals: Arrivals, looks: int = 1) -> list[str]:
        return [path.name for _ in range(looks) for path, _ in arrivals.look()]

    def test_a_file_that_grows_is_left_until_it_is_complete(self, arrivals, tmp_path):
        with open(tmp_path / "a.png", "wb", buffering=0) as file:
            for _ in range(5):
                file.write(b"x")
                assert self.names(arrivals) == []
        assert self.names(arrivals, 5) == ["a.png"]

    def test_empty_hidden_and_temporary_files_are_left(self, arrivals, tmp_path):
        for name in ("a.png", ".b.png", "c.png.part", "d.part.png", "e.txt"):
            (tmp_path / name).write_bytes(b"" if name == "a.png" else b"x")
        assert self.names(arrivals, 5) == []

    def test_one_that_is_renamed_into_the_folder_or_changes_comes_again(self, arrivals, tmp_path):
        (tmp_path / "a.png").write_bytes(b"1")
        assert self.names(arrivals, 5) == ["a.png"]
        (tmp_path / "new").write_bytes(b"2")
        (tmp_path / "new").replace(tmp_path / "a.png")
        assert self.names(arrivals, 5) == ["a.png"]

    def test_what_is_removed_is_forgotten(self, arrivals, tmp_path):
        path = tmp_path / "a.png"
        path.write_bytes(b"1")
        assert self.names(arrivals, 5) == ["a.png"] and path in arrivals
        path.unlink()
        assert self.names(arrivals) == [] and path not in arrivals

    def test_a_folder_that_is_away_for_a_while_brings_nothing_twice(self, tmp_path, caplog):
        folder = tmp_path / "in"
        folder.mkdir()
        (folder / "a.png").write_bytes(b"1")
        arrivals = Arrivals([folder], (".png",), tmp_path / "out")
        assert self.names(arrivals, 5) == ["a.png"]
        folder.rename(tmp_path / "away")
        assert self.names(arrivals, 3) == [] and caplog.text.count("trying again") == 1
        (tmp_path / "away").rename(folder)
        assert self.names(arrivals, 5) == []
