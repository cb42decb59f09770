"""Send frames as H.264 to a media server, over one connection."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass
from fractions import Fraction
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from ..errors import EnvironmentFault, UserError
from ..images.convert import to_rgb_uint8
from ..passwords import hide_passwords
from ..system.packages import load_av
from ..video.convert import BT709, FromRGB, matrix_of

_TIMEOUT_US = str(5_000_000)  # of a connection that takes nothing
_KEY_FRAME_EVERY_S = 1.0  # a new viewer waits for the next one
_CLOCK = 90_000  # ticks a second, as RTP's
_LIMITED_RANGE = 1  # 16 to 235


@dataclass(frozen=True)
class _Protocol:
    """How FFmpeg sends to the servers of a scheme."""

    muxer: str
    options: dict[str, str]


_PROTOCOLS = {
    "rtsp": _Protocol("rtsp", {"rtsp_transport": "tcp", "timeout": _TIMEOUT_US}),
    "rtsps": _Protocol("rtsp", {"rtsp_transport": "tcp", "timeout": _TIMEOUT_US}),
    "rtmp": _Protocol("flv", {"flvflags": "no_duration_filesize"}),
    "rtmps": _Protocol("flv", {"flvflags": "no_duration_filesize"}),
    "srt": _Protocol("mpegts", {"flush_packets": "1"}),
}
# By preference; one thread, so that the denoiser keeps the other cores.
_ENCODERS: dict[str, dict[str, str]] = {
    "libx264": {
        "preset": "ultrafast", "tune": "zerolatency", "crf": "21", "threads": "1", "forced-idr": "1",
        "sc_threshold": "0",
    },
    "h264_nvenc": {"preset": "p1", "tune": "ull", "zerolatency": "1", "cq": "21", "forced-idr": "1"},
    "h264_v4l2m2m": {},
    "h264_videotoolbox": {"realtime": "1"},
    "libopenh264": {},
}  # fmt: skip
_BITS_PER_PIXEL_S = 4  # of encoders that want a bit rate: 3.7 Mb/s at 720p


class Publication:
    """A connection to a media server that takes frames of one size.

    Odd sizes lose their last row or column: H.264 with 4:2:0 chroma needs even ones.

    Raises:
        av.error.FFmpegError: the server cannot be reached or refuses the stream; also from `send`.
    """

    def __init__(self, address: str, encoder: str, height: int, width: int) -> None:
        av = load_av()
        protocol = _PROTOCOLS[urlsplit(address).scheme.lower()]
        self._size_hw = height - height % 2, width - width % 2
        self._start_ns: int | None = None
        self._latest = -1  # time of the latest frame in ticks, as the next
        self._key_frame_at = 0
        self._error = av.error.FFmpegError
        self._key_type = av.video.frame.PictureType.I
        self._container = av.open(address, "w", format=protocol.muxer, options=dict(protocol.options))
        try:
            stream = self._container.add_stream(encoder, rate=30)
            stream.height, stream.width = self._size_hw
            stream.pix_fmt = "yuv420p"
            _prepare(stream.codec_context, encoder)
            stream.time_base = Fraction(1, _CLOCK)
            self._stream = stream
            self._from_rgb = FromRGB(av, "yuv420p", matrix_of(BT709, address), None)
            self._container.start_encoding()
        except BaseException:
            self.close()
            raise

    def send(self, pixels: np.ndarray, time_ns: int) -> None:
        """Send a frame.

        Args:
            pixels: (H, W, C) of the size of the publication, C = 1 or 3 (RGB), of any depth.
            time_ns: when the camera took it, by any clock.
        """
        if self._start_ns is None:
            self._start_ns = time_ns
        height, width = self._size_hw
        rgb = np.ascontiguousarray(to_rgb_uint8(pixels)[:height, :width])
        frame = self._from_rgb(rgb, Fraction(1, _CLOCK))
        frame.pts = max(self._latest + 1, round((time_ns - self._start_ns) * _CLOCK / 10**9))
        if self._latest < 0 or frame.pts >= self._key_frame_at:
            frame.pict_type = self._key_type
            self._key_frame_at = frame.pts + round(_KEY_FRAME_EVERY_S * _CLOCK)
        self._latest = frame.pts
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def close(self) -> None:
        """Disconnect from the server."""
        with contextlib.suppress(self._error):  # it may be gone
            self._container.close()


def check_address(address: str) -> None:
    """Raise UserError unless frames can be sent to an address, EnvironmentFault if av lacks its protocol."""
    av = load_av()
    parts = urlsplit(address)
    shown = hide_passwords(address, is_address=True)
    if parts.scheme.lower() not in _PROTOCOLS or not parts.netloc:
        raise UserError(
            f"cannot send the stream to '{shown}'; give an address such as rtsp://127.0.0.1:8554/camera "
            f"({', '.join(_PROTOCOLS)})"
        )
    if parts.scheme.lower() == "srt":  # the wheels of av come without; nothing is opened without a host
        try:
            av.open("srt://", "r")
        except av.error.ProtocolNotFoundError as error:
            raise EnvironmentFault("the installed av cannot send srt; use rtsp:// or rtmp://") from error
        except av.error.FFmpegError:
            pass


@functools.cache
def choose_encoder() -> str:
    """Return the first encoder of H.264 that works here.

    Raises:
        EnvironmentFault: none does.
    """
    av = load_av()
    for name in _ENCODERS:
        if name not in av.codecs_available:
            continue
        try:
            encoder = av.CodecContext.create(name, "w")
            encoder.width, encoder.height, encoder.pix_fmt = 256, 256, "yuv420p"
            _prepare(encoder, name)
            encoder.open()
        except (av.error.FFmpegError, ValueError):
            continue
        return name
    raise EnvironmentFault(
        "the installed av has no encoder for H.264 that works here; reinstall it: "
        "pip install --force-reinstall av"
    )


def reason_of(error: Exception) -> str:
    """Return why a stream cannot be sent, in words."""
    av = load_av()
    reasons = {
        av.error.HTTPUnauthorizedError: "the server refuses the user name or password (401)",
        av.error.HTTPForbiddenError: "the server does not allow publishing there (403)",
        av.error.HTTPNotFoundError: "the server knows no such name (404)",
        av.error.ConnectionRefusedError: "no server listens there (connection refused)",
    }
    for kind, reason in reasons.items():
        if isinstance(error, kind):
            return reason
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"the connection failed ({hide_passwords(text)})"


def _prepare(encoder: Any, name: str) -> None:
    encoder.time_base = Fraction(1, _CLOCK)
    encoder.gop_size = 600  # key frames are set by time
    encoder.max_b_frames = 0
    encoder.color_range, encoder.colorspace = _LIMITED_RANGE, BT709
    encoder.color_primaries = encoder.color_trc = BT709
    encoder.options = dict(_ENCODERS[name])
    if "crf" not in _ENCODERS[name] and "cq" not in _ENCODERS[name]:
        encoder.bit_rate = _BITS_PER_PIXEL_S * encoder.width * encoder.height
