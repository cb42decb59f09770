"""Videos that are written: every frame at its time, the sound as it was, whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from n2b.runtime.errors import ImageError, MissingPackageError, UserError
from n2b.runtime.frame import Frame
from n2b.runtime.sinks import RecordSink, VideoSink
from n2b.runtime.sinks.video_writer import VideoWriter
from n2b.runtime.sources.video_pyav import exact_video_frames

from ..fakes.videos import (
    CLOCK,
    LAST_TICKS,
    decoded_frames,
    frame_pixels,
    frame_times,
    length_s,
    make_video,
    packets,
)
from ..fakes.videos import copy_video as copy

UNEVEN = [0, 512, 1536, 1700, 4096, 4608, 9000, 9512]


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_all_frames_keep_their_times_and_the_video_its_length(tmp_path, suffix):
    video = make_video(tmp_path / f"video{suffix}", UNEVEN)
    copy(video, tmp_path / f"copy{suffix}")
    assert frame_times(tmp_path / f"copy{suffix}") == frame_times(video) == [tick * CLOCK for tick in UNEVEN]
    assert length_s(tmp_path / f"copy{suffix}") == length_s(video) == float((UNEVEN[-1] + LAST_TICKS) * CLOCK)


def test_the_sound_is_copied_bit_by_bit(tmp_path):
    video = make_video(tmp_path / "video.mp4", UNEVEN)
    copy(video, tmp_path / "copy.mp4")
    assert len(packets(video, "audio")) > 10
    assert packets(tmp_path / "copy.mp4", "audio") == packets(video, "audio")


def test_a_video_that_begins_late_keeps_its_place_beside_the_sound(tmp_path):
    video = make_video(tmp_path / "video.mkv", [6400 + tick for tick in UNEVEN])
    copy(video, tmp_path / "copy.mkv")
    assert frame_times(video)[0] == pytest.approx(0.5, abs=0.1)
    assert frame_times(tmp_path / "copy.mkv") == frame_times(video)
    assert packets(tmp_path / "copy.mkv", "audio") == packets(video, "audio")


@pytest.mark.parametrize("matrix", [1, 6])
def test_colours_stay_as_the_video_describes_them(tmp_path, matrix):
    video = make_video(tmp_path / "video.mp4", UNEVEN, matrix=matrix, sound=None)
    copy(video, tmp_path / "copy.mp4")
    before, after = (np.array(decoded_frames(path), float) for path in (video, tmp_path / "copy.mp4"))
    assert np.abs((after - before).mean(axis=(0, 1, 2))).max() < 0.7
    assert np.abs(before[0] - frame_pixels(0)).mean() < 4
    first = next(iter(exact_video_frames(video))).pixels
    assert np.abs((first - frame_pixels(0).astype(float)).mean(axis=(0, 1))).max() < 0.7


def test_sides_may_be_odd(tmp_path):
    pixels = frame_pixels(0, 45, 61)
    video = VideoWriter(tmp_path / "odd.mp4", 45, 61)
    video.write(pixels, 0)
    video.finish()
    (after,) = decoded_frames(tmp_path / "odd.mp4")
    assert np.abs(after.astype(int) - pixels).mean() < 3


def test_grey_and_deep_frames_are_taken(tmp_path):
    video = VideoWriter(tmp_path / "grey.mp4", 48, 64)
    grey = frame_pixels(0)[:, :, :1]
    video.write(grey, 0)
    video.write(grey.astype(np.uint16) * 257, 10**8)
    video.finish()
    for after in decoded_frames(tmp_path / "grey.mp4"):
        assert np.abs(after.astype(int) - grey).mean() < 3


def test_times_that_do_not_grow_are_moved_by_one_tick(tmp_path):
    video = VideoWriter(tmp_path / "still.mp4", 48, 64)
    for time_ns in (0, 0, 10**9):
        video.write(frame_pixels(0), time_ns)
    video.finish()
    assert frame_times(tmp_path / "still.mp4") == [0, Fraction(1, 90_000), 1]


def test_what_is_not_finished_leaves_nothing(tmp_path):
    video = make_video(tmp_path / "video.mp4", UNEVEN)
    with closing(VideoSink(tmp_path / "copy.mp4", video)) as sink:
        sink.write(Frame(frame_pixels(0), "video", 0, 0), frame_pixels(0))
        assert len(list(tmp_path.iterdir())) == 2
    assert list(tmp_path.iterdir()) == [video]


def test_a_video_that_changes_its_size_is_refused_and_leaves_nothing(tmp_path):
    video = make_video(tmp_path / "video.mp4", UNEVEN)
    with closing(VideoSink(tmp_path / "copy.mp4", video)) as sink:
        sink.write(Frame(frame_pixels(0), "video", 0, 0), frame_pixels(0))
        small = frame_pixels(1, 24, 32)
        with pytest.raises(UserError, match=r"changes its size at frame 1, to 32×24 px"):
            sink.write(Frame(small, "video", 1, 10**8), small)
    assert list(tmp_path.iterdir()) == [video]


def test_formats_that_cannot_be_written_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"videos are written as \.mp4"):
        VideoWriter(tmp_path / "a.avi", 48, 64)
    with pytest.raises(UserError, match=r"--record needs a file name that ends in \.mp4"):
        RecordSink(tmp_path / "a.png")


def test_sound_that_the_format_cannot_hold_is_refused_with_one_that_can(tmp_path):
    video = make_video(tmp_path / "video.mkv", UNEVEN, sound="libopus")
    with pytest.raises(UserError, match=r"copy\.mov: \.mov cannot hold the video's audio .*\.mkv"):
        copy(video, tmp_path / "copy.mov")
    assert list(tmp_path.iterdir()) == [video]
    copy(video, tmp_path / "copy.mkv")
    assert packets(tmp_path / "copy.mkv", "audio") == packets(video, "audio")


def test_a_file_that_is_no_video_is_refused_in_one_line(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(ImageError, match="is not a video that FFmpeg can decode") as caught:
        list(exact_video_frames(tmp_path / "a.mp4"))
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="there is no such video"):
        list(exact_video_frames(tmp_path / "b.mp4"))


def test_without_av_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    for open_it in (lambda: RecordSink(tmp_path / "a.mp4"), lambda: VideoSink(tmp_path / "a.mp4", tmp_path)):
        with pytest.raises(MissingPackageError, match=r"pip install 'noise2blur\[video\]'"):
            open_it()


def record(path: Path, sizes_hw: list[tuple[int, int]]) -> None:
    """A frame of each size, 0.1 s apart, on a clock that has run for a while."""
    with closing(RecordSink(path)) as sink:
        for number, (height, width) in enumerate(sizes_hw):
            pixels = frame_pixels(number, height, width)
            sink.write(Frame(pixels, "0", number, 10**15 + number * 10**8), pixels)


def test_a_recording_keeps_the_times_between_frames(tmp_path):
    record(tmp_path / "out.mp4", [(48, 64)] * 5)
    assert frame_times(tmp_path / "out.mp4") == [Fraction(number, 10) for number in range(5)]


def test_frames_of_another_size_begin_another_video(tmp_path, caplog):
    caplog.set_level("INFO", "n2b")
    record(tmp_path / "out.mp4", [(48, 64), (48, 64), (32, 64), (48, 64)])
    assert [decoded_frames(path)[0].shape[:2] for path in sorted(tmp_path.iterdir())] == [
        (32, 64), (48, 64), (48, 64),
    ]  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out-2.mp4", "out-3.mp4", "out.mp4"]
    assert "frames are now 64×32 px: recording continues in" in caplog.text


def test_two_recordings_of_one_name_are_both_kept(tmp_path, caplog):
    path = tmp_path / "out.mp4"
    with closing(RecordSink(path)) as first:
        second = RecordSink(path)
        for number, sink in enumerate((first, second, second)):
            pixels = frame_pixels(number)
            assert sink.write(Frame(pixels, "cam", number, number * 40_000_000), pixels)
        second.close()
    assert len(frame_times(path)) == 2
    assert len(frame_times(tmp_path / "out-2.mp4")) == 1
    assert caplog.messages == [
        f"{path} exists by now, of another process; this one is {tmp_path / 'out-2.mp4'}"
    ]


def test_a_recording_overwrites_nothing(tmp_path):
    (tmp_path / "out.mp4").write_text("an older one")
    with pytest.raises(UserError, match=r"out\.mp4 already exists"):
        RecordSink(tmp_path / "out.mp4")
    (tmp_path / "new-2.mp4").write_text("an older one")
    with pytest.raises(UserError, match=r"new-2\.mp4 already exists"):
        record(tmp_path / "new.mp4", [(48, 64), (32, 64)])
    assert (tmp_path / "new-2.mp4").read_text() == "an older one"
    assert len(decoded_frames(tmp_path / "new.mp4")) == 1


FULL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from n2b.runtime.errors import UserError
from n2b.runtime.frame import Frame
from n2b.runtime.sinks import RecordSink

resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))  # no file may grow beyond, as on a full disk
sink, random = RecordSink(Path(sys.argv[1])), np.random.default_rng(0)
try:
    for number in range(500):
        pixels = random.integers(0, 256, (96, 128, 3), np.uint8)
        sink.write(Frame(pixels, "0", number, number * 10**8), pixels)
except UserError as error:
    print(error)
sink.close()
"""


def test_a_full_disk_ends_a_recording_in_one_line_and_leaves_nothing(tmp_path):
    pytest.importorskip("resource", reason="needs Unix, whose limits stand in for a full disk")
    path = tmp_path / "out.mp4"
    ran = subprocess.run([sys.executable, "-c", FULL_DISK, path], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith(f"cannot write {path}: ") and ran.stdout.count("\n") == 1
    assert "free space or choose another folder" in ran.stdout
    assert list(tmp_path.iterdir()) == []
