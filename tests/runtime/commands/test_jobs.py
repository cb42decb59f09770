"""Where results go: beside the images or into a folder, and never over what is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from n2b.runtime.commands import jobs as planning
from n2b.runtime.commands.settings import OutputPlan
from n2b.runtime.errors import UserError
from n2b.runtime.images.image import Image, write_image
from n2b.runtime.pipelines.job import Job


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with photos/{a,b}.png, photos/trip/a.jpg and clean/{a,b}.png, clean/trip/a.png."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png", "trip/a.jpg"):
        write(f"photos/{name}")
        write(f"clean/{Path(name).with_suffix('.png')}")
    return tmp_path


def write(name: str) -> Path:
    write_image(name, Image(np.zeros((2, 2, 3), np.uint8)))
    return Path(name)


def touch(name: str) -> None:
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).touch()


def plan_jobs(inputs: list[str], **outputs: Any) -> list[Job]:
    return planning.plan_jobs(inputs, OutputPlan(**outputs)).jobs


def destinations(jobs: list[Job]) -> dict[str, str]:
    return {job.source.as_posix(): job.destination.as_posix() for job in jobs}


@pytest.mark.usefixtures("folder")
class TestDestinations:
    @pytest.mark.parametrize("name", ["x.heic", "x.avif", "X.GIF", "x.mp4", "x.dng", "out.v2/x.pdf"])
    def test_the_name_of_a_file_that_cannot_be_written_is_no_folder(self, name):
        with pytest.raises(
            UserError, match=f"no image can be written as '{Path(name).suffix.lower()}'; name one"
        ):
            plan_jobs(["photos/a.png"], out=Path(name))
        with pytest.raises(UserError, match="names one image and there are 3; name a folder"):
            plan_jobs(["photos"], out=Path(name))

    @pytest.mark.parametrize("name", ["x.png", "x.webm", "x.gif"])
    def test_the_name_of_a_file_that_is_no_video_is_no_folder(self, name):
        touch("a.mp4")
        with pytest.raises(
            UserError, match=f"no video can be written as '{Path(name).suffix}'; name one that"
        ):
            plan_jobs(["a.mp4"], out=Path(name))

    @pytest.mark.parametrize("name", ["out.v2", "2024.05.01", "results.final", "there.heic"])
    def test_other_names_with_dots_are_folders(self, name):
        Path("there.heic").mkdir()
        assert destinations(plan_jobs(["photos/a.png"], out=Path(name))) == {"photos/a.png": f"{name}/a.png"}

    def test_without_a_place_results_lie_beside_the_images(self):
        assert destinations(plan_jobs(["photos/a.png"])) == {"photos/a.png": "photos/a_denoised.png"}

    def test_the_structure_below_a_folder_is_kept(self):
        assert destinations(plan_jobs(["photos"], out=Path("out"))) == {
            "photos/a.png": "out/a.png",
            "photos/b.png": "out/b.png",
            "photos/trip/a.jpg": "out/trip/a.jpg",
        }

    def test_the_structure_below_a_globs_fixed_part_is_kept(self):
        jobs = plan_jobs(["photos/**/a.*"], out=Path("out"))
        assert destinations(jobs) == {"photos/a.png": "out/a.png", "photos/trip/a.jpg": "out/trip/a.jpg"}

    def test_suffix_and_format_can_be_chosen(self):
        jobs = plan_jobs(["photos/a.png"], out=Path("out"), suffix="_clean", ext="jpg")
        assert destinations(jobs) == {"photos/a.png": "out/a_clean.jpg"}
        jobs = plan_jobs(["photos/a.png"], ext=".webp")
        assert destinations(jobs) == {"photos/a.png": "photos/a_denoised.webp"}

    def test_one_image_may_go_to_a_named_file(self):
        assert destinations(plan_jobs(["photos/a.png"], out=Path("x.jpg"))) == {"photos/a.png": "x.jpg"}

    def test_a_folder_that_looks_like_a_file_is_a_folder(self):
        Path("x.png").mkdir()
        assert destinations(plan_jobs(["photos/a.png"], out=Path("x.png"))) == {"photos/a.png": "x.png/a.png"}

    def test_an_image_that_is_named_twice_is_done_once(self):
        jobs = plan_jobs(["photos/a.png", "photos", "./photos/a.png"], out=Path("out"))
        assert sorted(destinations(jobs)) == ["photos/a.png", "photos/b.png", "photos/trip/a.jpg"]

    def test_references_go_by_place_and_name(self):
        jobs = plan_jobs(["photos"], out=Path("out"), reference=Path("clean"))
        assert {job.source.as_posix(): job.reference and job.reference.as_posix() for job in jobs} == {
            "photos/a.png": "clean/a.png",
            "photos/b.png": "clean/b.png",
            "photos/trip/a.jpg": "clean/trip/a.png",
        }
        (job,) = plan_jobs(["photos/trip/a.jpg"], reference=Path("clean"))
        assert job.reference == Path("clean/a.png")


@pytest.mark.usefixtures("folder")
class TestRefusals:
    @pytest.mark.parametrize(
        ("inputs", "options", "reason"),
        [
            (["photos/a.png"], {"suffix": ""}, "would overwrite the input photos/a.png; name another place"),
            (["photos"], {"out": "photos"}, "would overwrite the input photos/a.png"),
            (["photos"], {"out": "clean", "reference": "clean"}, "would overwrite the input clean/a.png"),
            (["photos/a.png"], {"out": "photos/trip/../a.png"}, "would overwrite the input"),
            (["photos/a.png", "clean/a.png"], {"out": "out"}, "would both be written to out/a.png"),
            (["photos"], {"out": "x.png"}, "names one image and there are 3; name a folder"),
            (["photos/a.png"], {"out": "x.png", "ext": "jpg"}, "names the file already"),
            (["photos/a.png"], {"ext": "gif"}, r"written as '\.gif'; name one with --ext"),
            (["photos/a.png"], {"suffix": "x/y"}, "name the folder with -o"),
            (["photos/b.png"], {"reference": "photos/trip"}, "photos/trip has no reference for photos/b.png"),
            (["missing.png"], {}, "missing.png"),
        ],
    )
    def test_what_cannot_be_is_refused_in_one_line(self, inputs, options, reason):
        typed: dict[str, Any] = {
            name: Path(value) if name in ("out", "reference") else value for name, value in options.items()
        }
        with pytest.raises(UserError, match=reason) as error:
            plan_jobs(inputs, **typed)
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize(
        ("inputs", "options", "advice"),
        [
            (["a.jpg", "a.jpeg"], {"ext": "png"}, "leave out --ext, or denoise them into different folders"),
            (["a.tif", "a.jpg"], {"ext": "webp"}, "leave out --ext, or denoise them into different folders"),
            (["p/a.jpg", "q/a.jpg"], {}, "denoise them into different folders, or name their common .*"),
            (
                ["p/a.jpg", "q/a.png"],
                {"ext": "png"},
                "denoise them into different folders, or name their common .*",
            ),
            (["a.gif", "a.ppm"], {"ext": "png"}, "denoise them into different folders"),
        ],
    )
    def test_results_of_one_name_get_advice_that_helps(self, inputs, options, advice):
        for name in inputs:
            touch(name)
        with pytest.raises(UserError, match=f"would both be written to out/a\\..*; {advice}$"):
            plan_jobs(inputs, out=Path("out"), **options)

    @pytest.mark.parametrize(
        ("name", "content", "reason"),
        [
            ("a.heic", b"\0\0\0\x20ftypheic", "is not a PNG, JPEG, TIFF, WebP or BMP image"),
            ("a.gif", b"GIF89a", "is not a PNG, JPEG, TIFF, WebP or BMP image"),
            ("notes.txt", b"", "is empty"),
        ],
    )
    def test_another_suffix_is_not_advised_for_what_cannot_be_read(self, name, content, reason):
        Path(name).write_bytes(content)
        with pytest.raises(UserError, match=reason) as error:
            plan_jobs([name], out=Path("out"))
        assert "--ext" not in str(error.value)

    def test_an_image_of_an_unusual_suffix_is_written_as_another(self):
        write("a.png").rename("a.scan")
        with pytest.raises(
            UserError, match=r"a\.scan: no image can be written as '\.scan'; name one with --ext"
        ):
            plan_jobs(["a.scan"], out=Path("out"))
        assert destinations(plan_jobs(["a.scan"], out=Path("out"), ext="png")) == {"a.scan": "out/a.png"}

    def test_a_link_to_an_input_is_not_overwritten_either(self, folder):
        (folder / "out").symlink_to(folder / "photos", target_is_directory=True)
        with pytest.raises(UserError, match="would overwrite the input"):
            plan_jobs(["photos"], out=Path("out"))

    def test_an_earlier_result_that_is_named_as_an_input_is_refused(self):
        write("photos/a_denoised.png")
        with pytest.raises(UserError, match=r"would overwrite the input photos/a_denoised\.png"):
            plan_jobs(["photos/a.png", "photos/a_denoised.png"])


@pytest.mark.usefixtures("folder")
class TestSecondRun:
    def test_results_beside_the_images_are_not_denoised_again(self, capsys):
        first = plan_jobs(["photos"])
        for job in first:
            write(str(job.destination))
        assert plan_jobs(["photos"]) == first
        assert "3 images are results of an earlier run" in capsys.readouterr().err

    def test_results_in_a_folder_inside_the_input_are_not_denoised_again(self, capsys):
        first = plan_jobs(["photos"], out=Path("photos/out"))
        for job in first:
            write(str(job.destination))
        assert plan_jobs(["photos"], out=Path("photos/out")) == first
        assert "3 images are results of an earlier run" in capsys.readouterr().err

    def test_the_first_run_has_nothing_to_say(self, capsys):
        plan_jobs(["photos"])
        assert capsys.readouterr().err == ""
