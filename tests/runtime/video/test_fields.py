"""Interlaced videos."""

from __future__ import annotations

import numpy as np
import pytest
from n2b.runtime.sources.video_pyav import exact_video_frames
from n2b.runtime.video.description import describe_video

from ..fakes.videos import copy_video, encode, first_frame


def woven(height: int = 48) -> np.ndarray:
    """An image whose lines are of two fields, red and blue."""
    image = np.zeros((height, 64, 3), np.uint8)
    image[::2], image[1::2] = (200, 30, 30), (30, 30, 200)
    return image


@pytest.mark.parametrize("fields, is_top_first", [("tff", True), ("bff", False), ("prog", None)])
@pytest.mark.parametrize(
    "codec, name", [("libx264", "a.mp4"), ("mpeg2video", "a.mpg"), ("prores_ks", "a.mov")]
)
def test_the_order_of_the_fields_is_kept(tmp_path, fields, is_top_first, codec, name):
    if codec == "libx264":
        options = {"x264-params": {"tff": "tff=1", "bff": "bff=1", "prog": ""}[fields]}
    else:
        options = {}
    pix_fmt = "yuv422p10le" if codec == "prores_ks" else "yuv420p"
    video = encode(tmp_path / name, [woven()] * 3, codec, pix_fmt, fields=fields, options=options)
    assert describe_video(video).is_top_first is is_top_first
    copy = copy_video(video, tmp_path / "copy.mkv")
    assert describe_video(copy).is_top_first is is_top_first
    assert first_frame(copy).interlaced_frame is (is_top_first is not None)


def test_the_colours_of_the_fields_do_not_mix(tmp_path):
    video = encode(
        tmp_path / "a.mp4", [woven()] * 3, fields="tff", options={"x264-params": "tff=1", "crf": "4"}
    )
    copy = copy_video(video, tmp_path / "copy.mp4")
    for path in (video, copy):
        pixels = next(iter(exact_video_frames(path))).pixels.astype(int)
        assert np.abs(pixels - woven())[8:-8].mean() < 8  # mixed: 60


def test_sides_that_fields_of_4_2_0_cannot_have_are_written_in_4_4_4(tmp_path):
    video = encode(tmp_path / "a.mov", [woven(50)] * 2, "prores_ks", "yuv422p10le", fields="tff")
    copy = copy_video(video, tmp_path / "copy.mp4")
    assert describe_video(copy).is_top_first is True
    assert first_frame(copy).format.name == "yuv444p"
