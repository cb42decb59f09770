"""Finding images and cameras."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from n2b.runtime import sources
from n2b.runtime.errors import DeviceError, ImageError, UserError
from n2b.runtime.sources import Camera, camera_frames, find_images, list_cameras


def _touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def _found(root, *inputs):
    return [path.relative_to(root).as_posix() for path in find_images(inputs)]


def test_a_folder_gives_its_images_and_those_of_its_subfolders_in_natural_order(tmp_path):
    _touch(tmp_path, "img10.png", "img2.PNG", "Img1.jpg", "b/2.tiff", "b/10.webp", "a9/x.bmp", "a10/x.JPEG")
    assert _found(tmp_path, tmp_path) == [
        "a9/x.bmp", "a10/x.JPEG", "b/2.tiff", "b/10.webp", "Img1.jpg", "img2.PNG", "img10.png",
    ]  # fmt: skip


def test_what_is_hidden_unfinished_or_no_image_is_passed_over(tmp_path):
    _touch(
        tmp_path, "a.png", ".b.png", ".c/d.png", "e.png.part", ".f-123.part.png", "g.part.png", "h.txt", "i"
    )
    (tmp_path / "folder.png").mkdir()
    assert _found(tmp_path, tmp_path) == ["a.png"]
    assert _found(tmp_path, tmp_path / "*") == ["a.png"]


def test_a_hidden_folder_that_is_named_is_searched(tmp_path):
    _touch(tmp_path, ".cache/a.png")
    assert _found(tmp_path, tmp_path / ".cache") == [".cache/a.png"]


def test_a_file_that_is_named_is_taken_as_it_is(tmp_path):
    _touch(tmp_path, "scan", ".hidden.png")
    assert _found(tmp_path, tmp_path / "scan", str(tmp_path / ".hidden.png")) == ["scan", ".hidden.png"]


def test_globs_match_files_and_folders(tmp_path):
    _touch(tmp_path, "a/2.png", "a/10.png", "a/2.jpg", "b/c/1.png", "b/note.txt")
    assert _found(tmp_path, tmp_path / "a" / "*.png") == ["a/2.png", "a/10.png"]
    assert _found(tmp_path, tmp_path / "**" / "*.png") == ["a/2.png", "a/10.png", "b/c/1.png"]
    assert _found(tmp_path, tmp_path / "*") == ["a/2.jpg", "a/2.png", "a/10.png", "b/c/1.png"]
    assert _found(tmp_path, tmp_path / "a" / "[0-9].???") == ["a/2.jpg", "a/2.png"]


def test_a_file_whose_name_looks_like_a_glob_is_a_file(tmp_path):
    _touch(tmp_path, "a[1].png", "a1.png")
    assert _found(tmp_path, tmp_path / "a[1].png") == ["a[1].png"]


def test_each_file_comes_once_and_the_order_of_the_inputs_stays(tmp_path, monkeypatch):
    _touch(tmp_path, "a/1.png", "b/2.png")
    monkeypatch.chdir(tmp_path)
    inputs = ["b", "a/../b/2.png", tmp_path / "b", Path("a"), "a/*.png"]
    assert find_images(inputs) == [Path("b/2.png"), Path("a/1.png")]


def test_paths_are_given_as_they_were_asked_for(tmp_path, monkeypatch):
    _touch(tmp_path, "a/1.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_images(["a"]) == [Path("a/1.png")]
    assert find_images(["~/a"]) == [tmp_path / "a" / "1.png"]


def test_nothing_found_says_where_and_what_counts(tmp_path):
    _touch(tmp_path, "notes.txt")
    for name in (tmp_path, tmp_path / "*.png"):
        with pytest.raises(UserError) as caught:
            find_images([name])
        assert str(name) in str(caught.value)
        assert ".png .jpg" in str(caught.value)
    with pytest.raises(UserError, match="no images found in nothing"):
        find_images([])


def test_a_missing_file_among_others_is_named(tmp_path):
    _touch(tmp_path, "a.png")
    with pytest.raises(UserError, match=r"b\.png: there is no such file or folder"):
        find_images([tmp_path / "a.png", tmp_path / "b.png"])


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="an administrator may list anything"
)
def test_a_folder_that_may_not_be_listed_is_named(tmp_path):
    _touch(tmp_path, "a.png", "closed/b.png")
    (tmp_path / "closed").chmod(0)
    try:
        with pytest.raises(UserError, match="closed cannot be listed"):
            find_images([tmp_path])
    finally:
        (tmp_path / "closed").chmod(0o700)


@given(st.lists(st.integers(0, 10**6), unique=True, min_size=1), st.sampled_from(["", "img", "a1-"]))
def test_numbers_in_names_count_as_numbers(numbers, prefix):
    names = [Path(f"{prefix}{number}.png") for number in numbers]
    ordered = sorted(names, key=sources._natural_order)
    assert ordered == [Path(f"{prefix}{number}.png") for number in sorted(numbers)]


@given(st.lists(st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1)))
def test_any_names_can_be_put_in_order(names):
    assert len(sorted(map(Path, names), key=sources._natural_order)) == len(names)


@pytest.fixture
def film(tmp_path):
    """A video of six frames, 25 a second, red and ever greener."""
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (64, 48))  # type: ignore[attr-defined]
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no video")
    for number in range(6):
        writer.write(np.full((48, 64, 3), (0, number * 20, 200), np.uint8))
    writer.release()
    return path


def test_a_video_file_gives_its_frames_in_rgb_with_their_time(film):
    frames = list(camera_frames(str(film)))
    assert [frame.index for frame in frames] == list(range(6))
    assert [frame.timestamp_ns for frame in frames] == [number * 40_000_000 for number in range(6)]
    for frame in frames:
        assert (frame.pixels.shape, frame.pixels.dtype, frame.source) == ((48, 64, 3), np.uint8, str(film))
        assert np.abs(frame.pixels[20, 30].astype(int) - (200, frame.index * 20, 0)).max() < 6


def test_frames_may_be_given_up_early(film):
    frames = camera_frames(str(film))
    assert next(iter(frames)).index == 0
    del frames


def test_a_file_that_is_no_video_is_refused_in_one_line(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(ImageError, match="is not a video that OpenCV can decode"):
        camera_frames(str(tmp_path / "a.mp4"))
    with pytest.raises(UserError, match="there is no such video file or camera"):
        camera_frames(str(tmp_path / "b.mp4"))


class _Capture:
    """Stands in for a camera: so many frames, then none."""

    left = 2
    is_released = False

    def __init__(self, device):
        assert device == 7
        self.left = type(self).left

    def isOpened(self):  # noqa: N802
        return True

    def grab(self):
        self.left -= 1
        return self.left >= 0

    def retrieve(self):
        return True, np.full((4, 6, 3), (1, 2, 3), np.uint8)

    def get(self, _):
        return 0.0

    def release(self):
        type(self).is_released = True


def test_a_camera_gives_frames_with_the_clock_until_it_stops(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", _Capture)
    received = []
    with pytest.raises(DeviceError, match=r"camera 7 stopped after 2 frames; .*found"):
        for frame in camera_frames("7"):
            received.append(frame)
    assert [frame.index for frame in received] == [0, 1]
    assert received[0].pixels[0, 0].tolist() == [3, 2, 1]
    assert 0 < received[0].timestamp_ns <= received[1].timestamp_ns
    assert _Capture.is_released


def test_a_camera_that_opens_but_gives_nothing_is_refused_at_once(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", type("Dead", (_Capture,), {"left": 0}))
    with pytest.raises(DeviceError, match="gives no frame"):
        camera_frames(7)


def _fake_machine(root, **cameras):
    for device, name in cameras.items():
        _touch(root, f"dev/{device}")
        if name is not None:
            folder = root / "sys/class/video4linux" / device
            folder.mkdir(parents=True)
            (folder / "name").write_text(name + "\n")


def test_cameras_are_listed_by_device_and_name(tmp_path):
    _fake_machine(tmp_path, video10="capture card", video2="USB camera: ü", video0=None)
    assert list_cameras(tmp_path) == [
        Camera("/dev/video0", "unnamed"),
        Camera("/dev/video2", "USB camera: ü"),
        Camera("/dev/video10", "capture card"),
    ]
    assert list_cameras(tmp_path / "empty") == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists its cameras")
@pytest.mark.parametrize("cameras, words", [
    ([], "no video devices found"),
    ([Camera("/dev/video4", "a camera")], r"video devices found: /dev/video4 \(a camera\)"),
])  # fmt: skip
def test_a_camera_that_is_not_there_names_those_that_are(monkeypatch, cameras, words):
    monkeypatch.setattr(sources, "list_cameras", lambda: cameras)
    with pytest.raises(DeviceError, match=words) as caught:
        camera_frames(4711)
    assert "camera 4711 does not open" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == 1


def test_opencv_prints_nothing_about_a_camera_that_is_not_there():
    program = """
from n2b.runtime.errors import DeviceError
from n2b.runtime.sources import camera_frames
try:
    camera_frames(4711)
except DeviceError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (run.stderr, run.stdout.count("\n")) == ("", 1)
