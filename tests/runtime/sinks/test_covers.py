"""Cover images and attachments of videos."""

from __future__ import annotations

import io
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from n2b.runtime.errors import ImageError
from n2b.runtime.sources.video_pyav import exact_video_frames

from ..fakes.videos import copy_video, encode, frame_pixels

ATTACHED = 1024


def cover(codec: str = "mjpeg") -> bytes:
    ending = ".jpg" if codec == "mjpeg" else ".png"
    return cv2.imencode(ending, np.full((80, 80, 3), 90, np.uint8))[1].tobytes()


def with_cover(path: Path, codec: str, *, is_first: bool = True) -> Path:
    """A video with a cover image, as the first stream or the last."""
    image = io.BytesIO(cover(codec))
    video = encode(path.with_name("plain.mkv"), [frame_pixels(number) for number in range(5)])
    with av.open(str(video)) as before, av.open(image) as still, av.open(str(path), "w") as after:

        def add_cover():
            stream = after.add_stream_from_template(still.streams.video[0], opaque=True)
            stream.disposition = ATTACHED
            return stream

        picture_stream = add_cover() if is_first else None
        copy = after.add_stream_from_template(before.streams.video[0], opaque=True)
        picture_stream = picture_stream or add_cover()
        packet = next(packet for packet in still.demux() if packet.size)
        packet.stream, packet.pts, packet.dts = picture_stream, 0, 0
        after.mux(packet)
        for packet in before.demux():
            if packet.dts is not None:
                packet.stream = copy
                after.mux(packet)
    video.unlink()
    return path


@pytest.mark.parametrize("codec", ["mjpeg", "png"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_cover_image_is_kept_and_not_taken_for_the_video(tmp_path, caplog, codec, suffix, is_first):
    video = with_cover(tmp_path / "a.mp4", codec, is_first=is_first)
    frames = list(exact_video_frames(video))
    assert [frame.pixels.shape for frame in frames] == [(48, 64, 3)] * 5
    copy = copy_video(video, tmp_path / f"copy{suffix}")
    with av.open(str(copy)) as container:
        covers = [stream for stream in container.streams if stream.disposition.value & ATTACHED]
        (stream,) = covers
        data = next(bytes(packet) for packet in container.demux(stream) if packet.size)
    assert data == cover(codec)
    assert not caplog.messages


def test_a_song_with_a_cover_is_no_video(tmp_path):
    video = with_cover(tmp_path / "a.mp4", "mjpeg")
    with av.open(str(video)) as before, av.open(str(tmp_path / "song.mp4"), "w") as after:
        cover_stream = next(stream for stream in before.streams if stream.disposition.value & ATTACHED)
        copy = after.add_stream_from_template(cover_stream, opaque=True)
        copy.disposition = ATTACHED
        for packet in before.demux(cover_stream):
            if packet.size:
                packet.stream, packet.pts, packet.dts = copy, 0, 0
                after.mux(packet)
    with pytest.raises(ImageError, match="has no video stream, a cover image and sound"):
        list(exact_video_frames(tmp_path / "song.mp4"))


def test_attached_fonts_are_kept(tmp_path):
    def prepare(container, _):
        container.add_attachment("font.ttf", "font/ttf", b"\0\1\0\0 a font")

    video = encode(tmp_path / "a.mkv", [frame_pixels(0)] * 2, prepare=prepare)
    copy = copy_video(video, tmp_path / "copy.mkv")
    with av.open(str(copy)) as container:
        (stream,) = (stream for stream in container.streams if stream.type == "attachment")
        assert (stream.name, stream.mimetype) == ("font.ttf", "font/ttf")
        assert bytes(stream.data) == b"\0\1\0\0 a font"
