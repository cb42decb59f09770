"""Damaged and unfinished videos."""

from __future__ import annotations

import re
from pathlib import Path

import av
import numpy as np
import pytest

from ..fakes.videos import add_sound, copy_video, encode, frame_pixels, frame_times

FRAMES = 50  # 2 s


def images(count: int = FRAMES) -> list[np.ndarray]:
    noise = np.random.default_rng(0).integers(-40, 40, (count, 48, 64, 3))
    return [np.clip(frame_pixels(number) + noise[number], 0, 255).astype(np.uint8) for number in range(count)]


def spoil(path: Path, numbers: tuple[int, ...], *, cut: bool = False, flip: bool = False) -> None:
    """Overwrite a part of some packets with noise, or their second halves with zeros, or change one bit."""
    data, random = bytearray(path.read_bytes()), np.random.default_rng(1)
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    for number in numbers:
        at, size = places[number]
        if flip:
            data[at + size // 2] ^= 16
            continue
        start, end = (at + size // 2, at + size) if cut else (at + size // 3, at + 2 * size // 3)
        data[start:end] = (
            bytes(end - start) if cut else random.integers(0, 255, end - start, np.uint8).tobytes()
        )
    path.write_bytes(data)


@pytest.mark.parametrize(
    "name, codec, pix_fmt",
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.mkv", "mpeg2video", "yuv420p"),
        ("a.mov", "prores_ks", "yuv422p10le"),
    ],
)
def test_damaged_frames_are_counted(tmp_path, caplog, name, codec, pix_fmt):
    options = {"g": "10"} if codec != "prores_ks" else {}
    video = encode(tmp_path / name, images(20), codec, pix_fmt, options=options)
    spoil(video, (5, 12, 13))
    copy = copy_video(video, tmp_path / "copy.mkv")
    assert re.search(
        r"[1-9] damaged frames? (is|are) in the result as the decoder patched (it|them) up, the "
        r"first at 0\.[25] s",
        caplog.text,
    )
    assert len(frame_times(copy)) == 20


@pytest.mark.parametrize("codec", ["libx265", "libvpx-vp9", "libvpx"])
def test_holes_are_counted_where_the_decoder_reports_nothing(tmp_path, caplog, codec):
    options = {"x265-params": "log-level=none:qp=8"} if codec == "libx265" else {"g": "10", "b": "9M"}
    video = encode(tmp_path / "a.mkv", images(10), codec, options=options)
    copy_video(video, tmp_path / "copy.mkv")
    assert not caplog.messages
    spoil(video, (5, 7, 8), cut=True)
    copy = copy_video(video, tmp_path / "copy.mkv")
    assert caplog.messages == [
        f"{video}: 3 damaged frames are in the result as the decoder patched them up, the first at 0.2 s"
    ]
    assert len(frame_times(copy)) == 10


@pytest.mark.parametrize("slices", ["4", "16"])
def test_checksums_are_compared(tmp_path, caplog, slices):
    video = encode(tmp_path / "a.mkv", images(10), "ffv1", options={"level": "3", "slices": slices})
    spoil(video, (3, 6), flip=True)
    copy_video(video, tmp_path / "copy.mkv")
    assert caplog.messages == [
        f"{video}: 2 damaged frames are in the result as the decoder patched them up, the first at 0.1 s"
    ]


@pytest.mark.parametrize("options", [{"level": "1"}, {"level": "3", "slicecrc": "0"}])
def test_a_video_without_checksums_is_taken_as_it_is(tmp_path, caplog, options):
    copy_video(encode(tmp_path / "a.mkv", images(5), "ffv1", options=options), tmp_path / "copy.mkv")
    assert not caplog.messages


@pytest.mark.parametrize("lost", [(0,), (5, 12)])
def test_frames_that_the_decoder_leaves_out_without_a_word_are_counted(tmp_path, caplog, lost):
    options = {"x265-params": "log-level=none:keyint=10"}
    video, rest = encode(tmp_path / "a.mkv", images(20), "libx265", options=options), tmp_path / "rest.mkv"
    with av.open(str(video)) as before, av.open(str(rest), "w") as after:
        stream = after.add_stream_from_template(before.streams.video[0])
        for number, packet in enumerate(before.demux(video=0)):
            if packet.dts is not None and number not in lost:
                packet.stream = stream
                after.mux(packet)
    copy = copy_video(rest, tmp_path / "copy.mkv")
    left_out = 20 - len(lost) - len(frame_times(copy))
    assert left_out > 0
    assert caplog.messages == [f"{rest}: {left_out} damaged frames are left out of the result"]


@pytest.mark.parametrize("numbers", [(9,), (2, 9)])
def test_damage_at_the_end_is_counted(tmp_path, caplog, numbers):
    video = encode(tmp_path / "a.mov", images(10), "png", "rgb24")
    spoil(video, numbers)
    copy = copy_video(video, tmp_path / "copy.mkv")
    count = "1 damaged frame is" if len(numbers) == 1 else f"{len(numbers)} damaged frames are"
    assert caplog.messages == [f"{video}: {count} left out of the result"]
    assert len(frame_times(copy)) == 10 - len(numbers)


@pytest.mark.parametrize("name", ["a.avi", "a.mov"])
def test_jpeg_frames_that_are_cut_are_counted(tmp_path, caplog, name):
    video = encode(tmp_path / name, images(10), "mjpeg", "yuvj420p")
    copy_video(video, tmp_path / "copy.mkv")
    assert not caplog.messages
    spoil(video, (3, 5, 6), cut=True)
    copy = copy_video(video, tmp_path / "copy.mkv")
    patched, left_out = len(frame_times(copy)) - 7, 10 - len(frame_times(copy))
    patched_up, others = caplog.messages
    assert patched_up.startswith(f"{video}: {patched} damaged frame")
    assert others.startswith(f"{video}: {left_out} damaged frame") and others.endswith(
        "left out of the result"
    )


@pytest.mark.parametrize(
    "name, codec", [("a.mkv", "libx264"), ("a.avi", "mjpeg"), ("a.mp4", "libx264"), ("a.mov", "mjpeg")]
)
@pytest.mark.parametrize("part, sound", [(0.5, "mp2"), (0.7, None)])
def test_a_video_that_is_cut_short_is_warned_of(tmp_path, caplog, name, codec, part, sound):
    write = {}

    def prepare(container, _):
        if sound:
            write["sound"] = add_sound(container, sound, FRAMES / 25)

    video = encode(
        tmp_path / name, images(), codec, "yuvj420p" if codec == "mjpeg" else "yuv420p",
        prepare=prepare, fill=lambda container: write["sound"](container) if sound else None,
    )  # fmt: skip
    if name in ("a.mp4", "a.mov"):  # with its index at the beginning
        with (
            av.open(str(video)) as before,
            av.open(str(tmp_path / f"fast-{name}"), "w", options={"movflags": "faststart"}) as after,
        ):
            copies = {stream.index: after.add_stream_from_template(stream) for stream in before.streams}
            for packet in before.demux():
                if packet.dts is not None:
                    packet.stream = copies[packet.stream.index]
                    after.mux(packet)
        video = tmp_path / f"fast-{name}"
    copy_video(video, tmp_path / "copy.mkv")
    assert not caplog.messages
    data = video.read_bytes()
    video.write_bytes(data[: int(len(data) * part)])
    copy = copy_video(video, tmp_path / "copy.mkv")
    assert f"{video}: the file is cut short, at " in caplog.text and "s of 2.0 s" in caplog.text
    assert 10 < len(frame_times(copy)) < FRAMES


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_packets_that_are_lost_in_a_transport_stream_are_warned_of(tmp_path, caplog, codec):
    video = encode(tmp_path / "a.ts", images(20), codec)
    data = video.read_bytes()
    middle = len(data) // 2 // 188 * 188
    video.write_bytes(data[:middle] + data[middle + 4 * 188 :])
    copy_video(video, tmp_path / "copy.mkv")
    assert re.search(r"damaged frames? (is|are) in the result as the decoder patched .* at 0\.", caplog.text)
