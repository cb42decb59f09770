"""Videos that were joined, and whose times begin again."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest

from ..fakes.videos import add_sound, copy_video, encode, frame_pixels, frame_times, packets

FRAMES = 10  # of a part: 0.4 s


def part(path, codec, sound):
    images = [frame_pixels(number) for number in range(FRAMES)]
    write = {}

    def prepare(container, _):
        if sound:
            write["sound"] = add_sound(container, sound)

    def fill(container):
        if sound:
            write["sound"](container)

    return encode(path, images, codec, prepare=prepare, fill=fill).read_bytes()


@pytest.mark.parametrize(
    "name, codec, sound, parts",
    [
        ("a.ts", "libx264", "aac", 2),
        ("a.ts", "mpeg2video", "mp2", 3),
        ("a.ts", "libx264", None, 3),
        ("a.mpg", "mpeg2video", "mp2", 2),
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_parts_of_a_joined_video_follow_one_another(tmp_path, caplog, name, codec, sound, parts, suffix):
    video = tmp_path / name
    video.write_bytes(part(tmp_path / f"part-{name}", codec, sound) * parts)
    copy = copy_video(video, tmp_path / f"copy{suffix}")
    times = frame_times(copy)
    assert len(times) == FRAMES * parts
    steps = [after - before for before, after in pairwise(times)]
    assert all(0 < step < Fraction(3, 10) for step in steps)
    assert sum(abs(step - Fraction(1, 25)) < Fraction(2, 1000) for step in steps) >= len(steps) - (parts - 1)
    (message,) = caplog.messages
    assert f"its times begin again (joints: {parts - 1}); in the result" in message
    if sound:
        before, after = packets(video, "audio"), packets(copy, "audio")
        assert len(after) == len(before)
        assert all(old.endswith(new) for (_, old), (_, new) in zip(before, after, strict=True))  # less ADTS
        seconds = [float(time) for time, _ in after]
        assert seconds == sorted(seconds)
        assert abs(seconds[-1] - float(times[-1])) < 0.3


def test_a_video_with_b_frames_and_gaps_is_not_taken_for_joined(tmp_path, caplog):
    def prepare(_, stream):
        stream.codec_context.max_b_frames = 3

    images = [frame_pixels(number) for number in range(12)]
    video = encode(tmp_path / "a.mkv", images, prepare=prepare, options={"bf": "3"})
    copy = copy_video(video, tmp_path / "copy.mkv")
    assert frame_times(copy) == frame_times(video)
    assert not caplog.messages
