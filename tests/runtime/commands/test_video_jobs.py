"""Places of the results of videos."""

from __future__ import annotations

from pathlib import Path

import pytest
from n2b.runtime.commands.jobs import plan_jobs
from n2b.runtime.commands.settings import OutputPlan
from n2b.runtime.errors import UserError


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def touch(*names):
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def plan(*inputs, out=None, suffix=None, ext=None):
    planned = plan_jobs(inputs, OutputPlan(out and Path(out), suffix, ext))
    assert planned.is_video
    return [(str(job.source), str(job.destination)) for job in planned.jobs]


def test_a_result_lies_beside_its_video_or_has_its_name_in_the_folder():
    touch("a.mp4", "b.MOV")
    assert plan("a.mp4") == [("a.mp4", "a_denoised.mp4")]
    assert plan("a.mp4", "b.MOV", out="out") == [("a.mp4", "out/a.mp4"), ("b.MOV", "out/b.MOV")]
    assert plan("a.mp4", out="clean.mkv") == [("a.mp4", "clean.mkv")]
    assert plan("a.mp4", out="out", suffix="-x", ext="mkv") == [("a.mp4", "out/a-x.mkv")]


def test_a_video_in_a_format_that_is_not_written_becomes_mkv():
    touch("a.avi")
    assert plan("a.avi", out="out") == [("a.avi", "out/a.mkv")]


def test_globs_and_folders_give_their_videos_and_keep_their_structure():
    touch("clips/b/2.mp4", "clips/b/10.mp4", "clips/a.mkv", "clips/notes.txt")
    assert plan("clips", out="out") == [
        ("clips/a.mkv", "out/a.mkv"), ("clips/b/2.mp4", "out/b/2.mp4"), ("clips/b/10.mp4", "out/b/10.mp4"),
    ]  # fmt: skip
    assert plan("clips/b/*.mp4", out="out") == [
        ("clips/b/2.mp4", "out/2.mp4"), ("clips/b/10.mp4", "out/10.mp4"),
    ]  # fmt: skip


def test_earlier_results_in_a_folder_are_not_denoised_again():
    touch("clips/a.mp4", "clips/a_denoised.mp4")
    assert plan("clips") == [("clips/a.mp4", "clips/a_denoised.mp4")]
    assert plan("clips/a_denoised.mp4") == [("clips/a_denoised.mp4", "clips/a_denoised_denoised.mp4")]


def test_inputs_that_name_no_video_are_images():
    touch("a.png", "photos/b.png")
    assert not plan_jobs(["a.png", "photos"], OutputPlan()).is_video


def test_a_folder_of_images_leaves_out_its_videos_and_says_so(caplog):
    touch("photos/a.png", "photos/b.mp4")
    planned = plan_jobs(["photos"], OutputPlan(Path("out")))
    assert not planned.is_video
    assert [job.source for job in planned.jobs] == [Path("photos/a.png")]
    assert "left out: 1 videos in photos" in caplog.text


@pytest.mark.parametrize(
    "inputs, options, words",
    [
        (["a.mp4", "c.png"], {}, r"videos \(a.mp4\) and images \(c.png\) cannot be denoised in one run"),
        (["a.mp4", "b.mp4"], {"out": "x.mp4"}, r"x\.mp4 names one video and there are 2"),
        (["a.mp4"], {"out": "x.avi"}, r"no video can be written as '\.avi'.* \.mp4"),
        (["a.mp4"], {"out": "x.avi"}, r"name one that ends in \.mp4"),
        (["a.mp4"], {"out": "out", "ext": "avi"}, r"name one with --ext: \.mp4"),
        (["a.mp4", "a.mov"], {"out": "out", "ext": "mkv"}, "leave out --ext, or denoise them into different"),
        (["a.avi", "a.ts"], {"out": "out"}, r"out/a\.mkv; denoise them into different folders$"),
        (["a.mp4"], {"out": "a.mp4"}, "would overwrite the input a.mp4"),
        (["a.mp4", "d/a.mp4"], {"out": "out"}, "would both be written to out/a.mp4"),
        (["a.mp4"], {"suffix": "x/y"}, "name the folder with -o"),
    ],
)
def test_what_cannot_be_done_is_said_first(inputs, options, words):
    touch("a.mp4", "b.mp4", "c.png", "d/a.mp4", "a.mov", "a.avi", "a.ts")
    with pytest.raises(UserError, match=words):
        plan(*inputs, **options)
