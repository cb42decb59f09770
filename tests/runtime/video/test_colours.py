"""Colours, depth and transparency of videos that are written again."""

from __future__ import annotations

import numpy as np
import pytest
from n2b.runtime.errors import ImageError
from n2b.runtime.sources.video_pyav import exact_video_frames
from n2b.runtime.video.description import describe_video

from ..fakes.videos import copy_video, encode, first_frame, frame_pixels, streams

RGB, BT709, SMPTE240M, BT2020, YCGCO = 0, 1, 7, 9, 8
LEFT_OUT = (
    "its transparency is left out, which H.264 cannot hold; to keep it, denoise the frames as PNG images"
)


def shown(path):
    """The first frame as it is to be shown: what the reader gives."""
    return next(iter(exact_video_frames(path))).pixels.astype(int)


@pytest.mark.parametrize(
    "codec, pix_fmt, name",
    [
        ("ffv1", "bgr0", "a.mkv"),
        ("libx264rgb", "rgb24", "a.mp4"),
        ("png", "rgb24", "a.mov"),
        ("utvideo", "gbrp", "a.avi"),
    ],
)
@pytest.mark.parametrize("width", [64, 61])
def test_rgb_videos_are_tagged_as_what_they_are_written_as(tmp_path, codec, pix_fmt, name, width):
    image = frame_pixels(0, 48, width)
    video = encode(
        tmp_path / name, [image] * 2, codec, pix_fmt, options={"crf": "8"} if "264" in codec else {}
    )
    copy = copy_video(video, tmp_path / "copy.mkv")
    assert np.abs(shown(video) - image).mean() < 1.5
    frame = first_frame(copy)
    assert frame.colorspace == BT709
    assert frame.format.name == ("yuv420p" if width == 64 else "yuv444p")
    difference = shown(copy) - image
    assert np.abs(difference).mean() < (5 if width == 64 else 3)
    assert np.abs(difference.mean(axis=(0, 1))).max() < 0.7


@pytest.mark.parametrize("matrix", [BT709, 4, 6, SMPTE240M, BT2020])
@pytest.mark.parametrize("full_range", [False, True])
def test_each_matrix_is_read_and_written_as_it_is_tagged(tmp_path, matrix, full_range):
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, :32], image[:, 32:] = (200, 40, 60), (30, 180, 90)
    video = encode(tmp_path / "a.mkv", [image] * 2, "ffv1", "yuv444p", matrix=matrix, full_range=full_range)
    assert np.abs(shown(video) - image).max() <= 2
    copy = copy_video(video, tmp_path / "copy.mp4")
    assert first_frame(copy).colorspace == matrix
    assert np.abs(shown(copy) - image)[8:-8, 8:24].mean(axis=(0, 1)).max() < 4


def test_a_matrix_that_is_not_read_is_refused_in_one_line(tmp_path):
    video = encode(
        tmp_path / "a.mkv", [frame_pixels(0)] * 2,
        prepare=lambda _, stream: setattr(stream.codec_context, "colorspace", YCGCO),
    )  # fmt: skip
    with pytest.raises(
        ImageError, match="its colours are YCgCo, which is not read; convert them first: ffmpeg"
    ):
        copy_video(video, tmp_path / "copy.mp4")
    assert not (tmp_path / "copy.mp4").exists()


@pytest.mark.parametrize("transfer", [16, 18])  # PQ, HLG
def test_ten_bits_and_the_tags_of_hdr_are_kept(tmp_path, transfer):
    ramp = np.repeat(np.linspace(12_000, 16_000, 64).astype(np.uint16)[None, :, None], 48, 0).repeat(3, 2)

    def prepare(_, stream):
        stream.codec_context.color_primaries, stream.codec_context.color_trc = 9, transfer

    video = encode(tmp_path / "a.mkv", [ramp] * 2, "ffv1", "yuv420p10le", matrix=BT2020, prepare=prepare)
    copy = copy_video(video, tmp_path / "copy.mp4", deep=True)
    frame = first_frame(copy)
    assert frame.format.name == "yuv420p10le"
    assert (frame.colorspace, frame.color_primaries, frame.color_trc) == (BT2020, 9, transfer)
    pixels = next(iter(exact_video_frames(copy, deep=True))).pixels
    assert pixels.dtype == np.uint16
    assert np.abs(pixels.astype(int) - ramp).mean() < 100  # a level of 8 bits is 257
    copy = copy_video(video, tmp_path / "copy8.mp4")
    frame = first_frame(copy)
    assert (frame.format.name, frame.color_trc) == ("yuv420p", transfer)


def test_the_brightness_of_an_hdr_display_and_content_is_kept(tmp_path):
    display = (
        "mastering-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):cll=1000,400"
    )
    video = encode(
        tmp_path / "a.mp4", [frame_pixels(0)] * 2, pix_fmt="yuv420p10le", options={"x264-params": display}
    )
    copy = copy_video(video, tmp_path / "copy.mkv", deep=True)
    assert describe_video(copy).hdr == describe_video(video).hdr == display


@pytest.mark.parametrize(
    "codec, pix_fmt, name",
    [
        ("png", "rgba", "a.mov"),
        ("ffv1", "yuva420p", "a.mkv"),
        ("prores_ks", "yuva444p10le", "a.mov"),
        ("qtrle", "argb", "a.mov"),
    ],
)
def test_transparency_that_is_left_out_is_warned_of(tmp_path, caplog, codec, pix_fmt, name):
    image = np.dstack([frame_pixels(0), np.full((48, 64), 128, np.uint8)])
    options = {"profile": "4444"} if codec == "prores_ks" else {}
    opaque = encode(
        tmp_path / name, [image | np.array([0, 0, 0, 255], np.uint8)] * 2, codec, pix_fmt, options=options
    )
    copy_video(opaque, tmp_path / "copy.mov")
    assert not caplog.messages
    video = encode(tmp_path / name, [image] * 3, codec, pix_fmt, options=options)
    copy = copy_video(video, tmp_path / "copy.mov")
    assert caplog.messages == [f"{video}: {LEFT_OUT}"]
    assert streams(copy) == [("video", "h264")]


def test_transparency_that_is_not_decoded_is_warned_of(tmp_path, caplog):
    image = np.dstack([frame_pixels(0), np.full((48, 64), 128, np.uint8)])
    video = encode(tmp_path / "a.webm", [image] * 2, "libvpx-vp9", "yuva420p")
    copy_video(video, tmp_path / "copy.mkv")
    assert caplog.messages == [f"{video}: {LEFT_OUT}"]
