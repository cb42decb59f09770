"""Streams of a video besides its frames: audio, subtitles, chapters, flags and tags."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from n2b.runtime.errors import UserError
from n2b.runtime.sinks.held_codecs import can_hold

from ..fakes.videos import (
    add_sound,
    copy_video,
    decoded_frames,
    encode,
    frame_pixels,
    frame_times,
    packets,
    streams,
)

DEFAULT, FORCED = 1, 64


def with_sound(path: Path, codec: str, video: str = "libx264") -> Path:
    write = []
    return encode(
        path,
        [frame_pixels(number) for number in range(10)],
        video,
        "yuvj420p" if video == "mjpeg" else "yuv420p",
        prepare=lambda container, _: write.append(add_sound(container, codec)),
        fill=lambda container: [one(container) for one in write],
    )  # fmt: skip


def samples(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="flt")
        frames = [piece for frame in container.decode(audio=0) for piece in resampler.resample(frame)]
        return np.concatenate([frame.to_ndarray() for frame in frames], axis=1)[0]


@pytest.mark.parametrize("codec", ["aac", "ac3", "flac", "libopus", "pcm_s16le"])
def test_audio_that_matroska_holds_is_copied(tmp_path, caplog, codec):
    video = with_sound(tmp_path / "a.mkv", codec)
    copy = copy_video(video, tmp_path / "copy.mkv")
    assert streams(copy) == streams(video)
    assert packets(copy, "audio") == packets(video, "audio")
    assert not caplog.messages


@pytest.mark.parametrize("codec", ["dca", "truehd", "vorbis", "pgssub", "dvdsub", "dvbsub", "subrip", "ass"])
def test_matroska_holds_codecs_whose_decoders_have_other_names(codec):
    class Stream:
        codec_context = type("Context", (), {"codec": av.Codec(codec, "r")})

    with av.open(io.BytesIO(), "w", format="matroska") as container:
        assert can_hold(container, Stream)


@pytest.mark.parametrize(
    "codec, name, written",
    [
        ("wmav2", "a.wmv", "pcm_f32le"),
        ("pcm_mulaw", "a.avi", "pcm_s16le"),
        ("pcm_alaw", "a.avi", "pcm_s16le"),
        ("adpcm_ms", "a.avi", "pcm_s16le"),
        ("adpcm_ima_wav", "a.avi", "pcm_s16le"),
        ("adpcm_ima_qt", "a.mov", "pcm_s16le"),
    ],
)
def test_other_audio_is_written_in_matroska_without_loss(tmp_path, caplog, codec, name, written):
    video = with_sound(tmp_path / name, codec, "wmv2" if name == "a.wmv" else "mjpeg")
    copy = copy_video(video, tmp_path / "copy.mkv")
    assert streams(copy) == [("video", "h264"), ("audio", written)]
    before, after = samples(video), samples(copy)
    assert (
        np.array_equal(after[: len(before)], before[: len(after)]) and abs(len(before) - len(after)) <= 2048
    )
    assert [message.split(": ", 1)[1] for message in caplog.messages] == [
        f"stream 1 of the video, audio ({codec}), is decoded and written as {written}, without loss: .mkv "
        "does not take it as it is"
    ]


@pytest.mark.parametrize(
    "codec, name, suffix",
    [("wmav2", "a.wmv", ".mp4"), ("pcm_mulaw", "a.avi", ".mp4"), ("libopus", "a.mkv", ".mov")],
)
def test_audio_that_another_format_holds_is_refused_with_its_name(tmp_path, codec, name, suffix):
    video = with_sound(tmp_path / name, codec, {"a.avi": "mjpeg", "a.wmv": "wmv2"}.get(name, "libx264"))
    with pytest.raises(
        UserError, match=rf"\{suffix} cannot hold the video's audio \(.*\); name the result with \.mkv"
    ):
        copy_video(video, tmp_path / f"copy{suffix}")
    assert list(tmp_path.iterdir()) == [video]


def remux(
    *sources: Path,
    path: Path,
    flags: dict[int, int] | None = None,
    chapters: list | None = None,
    tags: dict | None = None,
) -> Path:
    """Put the streams of several files into one, with flags by their place."""
    inputs = [av.open(str(source)) for source in sources]
    with av.open(str(path), "w") as container:
        copies = {}
        for one in inputs:
            for stream in one.streams:
                copy = container.add_stream_from_template(stream, opaque=True)
                copy.disposition = (flags or {}).get(copy.index, 0)
                copy.metadata.update(stream.metadata)
                copies[id(one), stream.index] = copy
        container.metadata.update(tags or {})
        container.set_chapters(chapters or [])
        for one in inputs:
            for packet in one.demux():
                if packet.dts is not None:
                    packet.stream = copies[id(one), packet.stream.index]
                    container.mux(packet)
    for one in inputs:
        one.close()
    return path


def srt(path: Path, text: str = "Hello") -> Path:
    path.write_text(f"1\n00:00:00,100 --> 00:00:00,300\n{text}\n\n")
    return path


def pgs(path: Path) -> Path:
    def segment(pts: int, kind: int, body: bytes) -> bytes:
        return b"PG" + struct.pack(">IIBH", pts, 0, kind, len(body)) + body

    path.write_bytes(
        b"".join(
            segment(at, 0x16, struct.pack(">HHBHBBBB", 64, 48, 16, number, 0x80, 0, 0, 0))
            + segment(at, 0x80, b"")
            for number, at in enumerate((9000, 27_000))
        )
    )
    return path


@pytest.mark.parametrize("make", [srt, pgs])
def test_subtitles_that_matroska_holds_are_copied(tmp_path, caplog, make):
    video = remux(
        with_sound(tmp_path / "v.mkv", "aac"),
        make(tmp_path / "s.sup" if make is pgs else tmp_path / "s.srt"),
        path=tmp_path / "a.mkv",
    )
    copy = copy_video(video, tmp_path / "copy.mkv")
    assert streams(copy) == streams(video)
    assert packets(copy, "subtitle") == packets(video, "subtitle") != []
    assert not caplog.messages


@pytest.mark.parametrize("make, codec", [(srt, "subrip"), (pgs, "hdmv_pgs_subtitle")])
def test_subtitles_that_the_format_cannot_hold_are_left_out_with_the_format_that_can(
    tmp_path, caplog, make, codec
):
    video = remux(
        with_sound(tmp_path / "v.mkv", "aac"),
        make(tmp_path / "s.sup" if make is pgs else tmp_path / "s.srt"),
        path=tmp_path / "a.mkv",
    )
    copy = copy_video(video, tmp_path / "copy.mp4")
    assert streams(copy) == streams(video)[:2]
    assert caplog.messages == [
        f"{copy}: left out stream 2 of the video, subtitle ({codec}): .mp4 cannot hold it, .mkv can"
    ]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_chapters_flags_and_languages_are_kept(tmp_path, suffix):
    chapters = [
        {
            "id": number,
            "start": 200 * number,
            "end": 200 * (number + 1),
            "time_base": Fraction(1, 1000),
            "metadata": {"title": title},
        }
        for number, title in enumerate(("One", "Zwei ü"))
    ]
    first, second = (with_sound(tmp_path / f"{name}.mkv", "aac") for name in "vw")
    with (
        av.open(str(second)) as container,
        av.open(str(tmp_path / "sound.mka"), "w", format="matroska") as sound,
    ):
        copy = sound.add_stream_from_template(container.streams.audio[0])
        copy.metadata["language"] = "deu"
        for packet in container.demux(audio=0):
            if packet.dts is not None:
                packet.stream = copy
                sound.mux(packet)
    inputs = [first, tmp_path / "sound.mka", *([srt(tmp_path / "s.srt")] if suffix == ".mkv" else [])]
    video = remux(
        *inputs, path=tmp_path / f"a{suffix}", flags={0: DEFAULT, 2: DEFAULT, 3: FORCED}, chapters=chapters
    )
    copy = copy_video(video, tmp_path / f"copy{suffix}")

    def description(path):
        with av.open(str(path)) as container:
            marks = [
                (one["start"] * one["time_base"], one["end"] * one["time_base"], one["metadata"]["title"])
                for one in container.chapters()
            ]
            kept = [stream for stream in container.streams if stream.type != "data"]
            return marks, [(s.type, s.disposition.value, s.metadata.get("language")) for s in kept]

    assert description(copy) == description(video)
    assert len(description(copy)[0]) == 2
    if suffix == ".mkv":
        assert [flags for _, flags, _ in description(copy)[1]] == [DEFAULT, 0, DEFAULT, FORCED]


@pytest.mark.parametrize(
    "text, raw",
    [("Grüße", "Grüße".encode("latin-1")), ("“Été”", "“Été”".encode("cp1252")), ("日本", "日本".encode())],
)
@pytest.mark.parametrize("name", ["a.mkv", "a.avi", "a.mp4"])
def test_a_title_in_any_encoding_is_kept(tmp_path, text, raw, name):
    placeholder = "T" * len(raw)
    video = encode(
        tmp_path / name, [frame_pixels(0)] * 2, "mpeg4" if name == "a.avi" else "libx264",
        prepare=lambda container, _: container.metadata.update(title=placeholder),
    )  # fmt: skip
    data = video.read_bytes()
    assert placeholder.encode() in data
    video.write_bytes(data.replace(placeholder.encode(), raw))
    copy = copy_video(video, tmp_path / "copy.mkv")
    with av.open(str(copy)) as container:
        assert container.metadata["title"] == text
    assert len(frame_times(copy)) == len(decoded_frames(copy)) == 2


def test_subtitles_that_overlap_keep_their_times(tmp_path):
    lines = [(100, 390, "One"), (150, 200, "Two"), (150, 390, "Three"), (300, 380, "Four")]
    text = "\n".join(
        f"{number}\n00:00:00,{start} --> 00:00:00,{end}\n{words}\n"
        for number, (start, end, words) in enumerate(lines, 1)
    )
    (tmp_path / "s.srt").write_text(text)
    video = remux(with_sound(tmp_path / "v.mkv", "aac"), tmp_path / "s.srt", path=tmp_path / "a.mkv")
    copy = copy_video(video, tmp_path / "copy.mkv")
    assert packets(copy, "subtitle") == packets(video, "subtitle")
    assert [time for time, _ in packets(copy, "subtitle")] == [Fraction(start, 1000) for start, *_ in lines]
