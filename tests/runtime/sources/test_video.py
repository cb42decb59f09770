"""Frames of videos and image files."""

from __future__ import annotations

import sys
from contextlib import closing

import cv2
import numpy as np
import pytest
from n2b.runtime.errors import ImageError, UserError
from n2b.runtime.images.image import Image, write_image
from n2b.runtime.sources import bits_per_channel, camera_frames, count_frames, frames
from n2b.runtime.sources.video_pyav import exact_video_frames

from ..fakes.videos import encode


@pytest.fixture
def video(tmp_path):
    """A video of six frames, 25 a second, red and ever greener."""
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no video; the package opencv-python-headless does")
    for number in range(6):
        writer.write(np.full((48, 64, 3), (0, number * 20, 200), np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize("open_video", [frames, camera_frames])
def test_a_video_gives_its_frames_in_rgb_with_their_time(video, open_video):
    seen = list(open_video(str(video)))
    assert [frame.index for frame in seen] == list(range(6))
    assert [frame.timestamp_ns for frame in seen] == [number * 40_000_000 for number in range(6)]
    for frame in seen:
        assert (frame.pixels.shape, frame.pixels.dtype, frame.source) == ((48, 64, 3), np.uint8, str(video))
        assert np.abs(frame.pixels[20, 30].astype(int) - (200, frame.index * 20, 0)).max() < 6


def test_iteration_may_end_early(video):
    with closing(frames(video)) as source:
        assert next(source).index == 0


@pytest.mark.parametrize("open_video", [frames, exact_video_frames])
def test_damaged_frames_of_a_video_are_skipped_and_counted(video, open_video):
    data = video.read_bytes()
    starts = [at for at in range(len(data)) if data.startswith(b"\xff\xd8\xff", at)]
    assert len(starts) == 6
    video.write_bytes(data[: starts[2]] + bytes(starts[3] - starts[2] - 8) + data[starts[3] - 8 :])
    seen = list(open_video(video))
    assert [frame.timestamp_ns // 40_000_000 for frame in seen] == [0, 1, 3, 4, 5]
    assert [(frame.index, frame.corrupt) for frame in seen] == [(0, 0), (1, 0), (2, 1), (3, 1), (4, 1)]


def test_a_file_that_is_no_video_is_refused_in_one_line(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(ImageError, match="is not a video that FFmpeg can decode"):
        frames(tmp_path / "a.mp4")
    with pytest.raises(UserError, match=r"b\.mp4: there is no such file or folder; "):
        camera_frames(str(tmp_path / "b.mp4"))


def test_colours_depth_and_cover_images_are_heeded_as_when_a_video_is_written_again(tmp_path, caplog):
    image = np.full((48, 64, 3), (200, 40, 60), np.uint8)
    for open_video in (frames, camera_frames):
        for matrix in (1, 9):  # BT.709, BT.2020
            path = encode(tmp_path / "a.mkv", [image] * 2, "ffv1", "yuv444p", matrix=matrix)
            (first, _) = open_video(str(path))
            assert np.abs(first.pixels.astype(int) - image).max() <= 2
        assert not caplog.messages
        encode(path, [image] * 2, "ffv1", "yuv444p10le", matrix=1)
        (first, _) = open_video(str(path))
        assert first.pixels.dtype == np.uint8 and np.abs(first.pixels.astype(int) - image).max() <= 2
        assert caplog.messages == [f"{path}: its 10 bits per channel become 8"]
        caplog.clear()


def test_damage_and_transparency_are_warned_of_whatever_the_frames_are_for(tmp_path, caplog):
    image = np.dstack([np.full((48, 64, 3), 90, np.uint8), np.full((48, 64), 128, np.uint8)])
    path = encode(tmp_path / "a.mov", [image] * 3, "png", "rgba")
    data = path.read_bytes()
    at = data.rindex(b"IDAT")
    path.write_bytes(data[: at + 8] + bytes(20) + data[at + 28 :])
    assert len(list(camera_frames(path))) == 2
    assert [message.removeprefix(f"{path}: ")[:23] for message in caplog.messages] == [
        "its transparency is lef", "1 damaged frame is left",
    ]  # fmt: skip


@pytest.mark.parametrize("codec, is_warned_of", [("mjpeg", False), ("mpeg4", True)])
def test_without_pyav_opencv_reads_a_video_and_says_what_that_costs(
    tmp_path, caplog, monkeypatch, codec, is_warned_of
):
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = encode(tmp_path / "a.avi", [np.full((48, 64, 3), 90, np.uint8)] * 3, codec, pix_fmt)
    monkeypatch.setitem(sys.modules, "av", None)
    assert (count_frames(path), bits_per_channel(path)) == (3, 8)
    caplog.clear()
    assert [frame.index for frame in frames(path)] == [0, 1, 2]
    assert caplog.messages == [
        f"{path} is read by OpenCV, which shifts the colours of most videos and reports no damage; PyAV does "
        "better: pip install 'noise2blur[video]'"
    ] * is_warned_of  # fmt: skip
    (tmp_path / "b.mp4").write_text("no video")
    with pytest.raises(ImageError, match="is not a video that OpenCV can decode"):
        frames(tmp_path / "b.mp4")


def test_a_folder_gives_its_images_and_videos_in_natural_order(video, tmp_path):
    deep = np.full((3, 5, 3), 40_000, np.uint16)
    write_image(tmp_path / "a/10.png", Image(deep))
    write_image(tmp_path / "a/9.png", Image(np.full((4, 6, 1), 7, np.uint8)))
    seen = list(frames(tmp_path))
    assert [frame.index for frame in seen] == list(range(8))
    assert [frame.source for frame in seen[:3]] == [
        str(tmp_path / "a/9.png"), str(tmp_path / "a/10.png"), str(video),
    ]  # fmt: skip
    assert np.array_equal(seen[1].pixels, deep)
    assert [frame.source for frame in frames(tmp_path / "a" / "*.png")] == [
        frame.source for frame in seen[:2]
    ]
    assert [frame.pixels.shape for frame in frames(tmp_path / "a" / "9.png")] == [(4, 6, 1)]
