"""Describe a video by its stream and its first frame: clock, colours, depth, fields, shape of its pixels."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..errors import ImageError, shorten
from ..system.packages import load_av
from .container import open_video, video_stream
from .convert import BT709, bits_of, is_rgb, is_top_field_first
from .orientation import is_turned, side_data

_DYNAMIC_HDR = {
    "DOVI_METADATA": "Dolby Vision", "DOVI_RPU_BUFFER": "Dolby Vision", "DYNAMIC_HDR_PLUS": "HDR10+",
    "DYNAMIC_HDR_VIVID": "HDR Vivid",
}  # fmt: skip
CLOCK = Fraction(1, 90_000)  # s; the usual one for videos


@dataclass(frozen=True)
class VideoDescription:
    """The properties that a result has from its video; the defaults are those of a recording.

    Attributes:
        time_base: tick of the clock in s.
        start: first time of the video stream, in ticks.
        end: last time of the video stream in ticks; None: unknown.
        rate: frames per second; None: unknown.
        colorspace, primaries, transfer: tags of ITU-T H.273. An RGB video is written by the matrix of BT.709.
        bits: bits per channel.
        pixel_aspect: width of an upright pixel by its height; None: unknown.
        is_top_first: order of the fields; None: progressive.
        hdr: the brightness of the display and the content, as a parameter of x264; None: unknown.
        dynamic_hdr: name of metadata for each frame, which the result does not have; None: there is none.
    """

    time_base: Fraction = CLOCK
    start: int = 0
    end: int | None = None
    rate: Fraction | None = None
    colorspace: int = BT709
    primaries: int | None = None
    transfer: int | None = None
    bits: int = 8
    pixel_aspect: Fraction | None = None
    is_top_first: bool | None = None
    hdr: str | None = None
    dynamic_hdr: str | None = None


@contextlib.contextmanager
def decoding_errors(path: Path) -> Iterator[None]:
    """Raise FFmpeg's errors as ImageError."""
    try:
        yield
    except load_av().error.FFmpegError as error:
        raise ImageError(
            f"{path} is not a video that FFmpeg can decode: {shorten(error.strerror)}"
        ) from error


def describe_video(path: Path) -> VideoDescription:
    """Return the description of a video; decodes its first frame.

    Raises:
        ImageError: it is not a video that FFmpeg can decode.
        MissingPackageError: av is not installed.
    """
    av = load_av()
    with decoding_errors(path), open_video(path) as container:
        stream = video_stream(container, path)
        for packet in container.demux(stream):
            with contextlib.suppress(av.error.FFmpegError):  # of a damaged packet
                for frame in packet.decode():
                    return _describe(av, stream, frame)
    raise ImageError(f"{path} is not a video that FFmpeg can decode: it has no frames")


def _describe(av: Any, stream: Any, frame: Any) -> VideoDescription:
    start = stream.start_time or 0
    aspect = stream.sample_aspect_ratio
    return VideoDescription(
        time_base=stream.time_base,
        start=start,
        end=None if stream.duration is None else start + stream.duration,
        rate=stream.average_rate or stream.guessed_rate,
        colorspace=BT709 if is_rgb(frame) else frame.colorspace,
        primaries=frame.color_primaries,
        transfer=frame.color_trc,
        bits=bits_of(frame),
        pixel_aspect=1 / aspect if aspect and is_turned(frame) else aspect or None,
        is_top_first=is_top_field_first(av, frame),
        hdr=_hdr(frame),
        dynamic_hdr=next(
            (name for kind, name in _DYNAMIC_HDR.items() if side_data(frame, kind) is not None), None
        ),
    )


def _hdr(frame: Any) -> str | None:
    """Return the static HDR metadata of SMPTE ST 2086 and CTA-861.3."""
    parameters = []
    if (display := side_data(frame, "MASTERING_DISPLAY_METADATA")) is not None and len(display) >= 88:
        *rationals, has_primaries, has_luminance = struct.unpack("=22i", display[:88])
        values = [n / d if d else 0 for n, d in zip(rationals[::2], rationals[1::2], strict=True)]
        if has_primaries and has_luminance:
            red_x, red_y, green_x, green_y, blue_x, blue_y, white_x, white_y = (
                round(value * 50_000) for value in values[:8]
            )
            lowest, highest = (round(value * 10_000) for value in values[8:])
            parameters.append(
                f"mastering-display=G({green_x},{green_y})B({blue_x},{blue_y})R({red_x},{red_y})"
                f"WP({white_x},{white_y})L({highest},{lowest})"
            )
    if (light := side_data(frame, "CONTENT_LIGHT_LEVEL")) is not None and len(light) >= 8:
        parameters.append("cll={},{}".format(*struct.unpack("=2I", light[:8])))
    return ":".join(parameters) or None
