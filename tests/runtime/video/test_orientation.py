"""Display matrices that turn and mirror."""

from __future__ import annotations

import struct
from fractions import Fraction

import numpy as np
import pytest
from n2b.runtime.sources.video_pyav import exact_video_frames
from n2b.runtime.video.description import describe_video

from ..fakes.videos import copy_video, decoded_frames, encode, frame_pixels

ONE = 1 << 16
AS_STORED = (1, 0, 0, 1)
MATRICES = {  # a, b, c, d of x' = a x + c y, y' = b x + d y → what is shown of (H, W, 3)
    AS_STORED: lambda image: image,
    (-1, 0, 0, 1): lambda image: image[:, ::-1],
    (1, 0, 0, -1): lambda image: image[::-1],
    (-1, 0, 0, -1): lambda image: image[::-1, ::-1],
    (0, 1, -1, 0): lambda image: np.rot90(image, -1),
    (0, -1, 1, 0): np.rot90,
    (0, 1, 1, 0): lambda image: image.swapaxes(0, 1),
    (0, -1, -1, 0): lambda image: image.swapaxes(0, 1)[::-1, ::-1],
}


def with_matrix(path, a, b, c, d):
    data = bytearray(path.read_bytes())
    at = data.find(b"tkhd") + 44
    data[at : at + 36] = struct.pack(">9i", a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("matrix", MATRICES)
def test_a_video_is_shown_as_its_display_matrix_says(tmp_path, matrix):
    image = frame_pixels(0)
    video = with_matrix(encode(tmp_path / "a.mp4", [image] * 2, options={"crf": "8"}), *matrix)
    want = MATRICES[matrix](image).astype(int)
    first = next(iter(exact_video_frames(video))).pixels
    assert first.shape == want.shape and np.abs(first - want).mean() < 3
    copy = copy_video(video, tmp_path / "copy.mp4")
    assert np.abs(decoded_frames(copy)[0] - want).mean() < 4
    assert np.abs(next(iter(exact_video_frames(copy))).pixels - want).mean() < 4


@pytest.mark.parametrize("matrix, aspect", [(AS_STORED, (4, 3)), ((0, 1, -1, 0), (3, 4))])
def test_the_shape_of_the_pixels_turns_with_the_frame(tmp_path, matrix, aspect):
    def prepare(_, stream):
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)

    video = with_matrix(encode(tmp_path / "a.mp4", [frame_pixels(0, 48, 48)] * 2, prepare=prepare), *matrix)
    copy = copy_video(video, tmp_path / "copy.mp4")
    assert describe_video(copy).pixel_aspect == Fraction(*aspect)
