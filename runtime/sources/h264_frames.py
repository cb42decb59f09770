"""Decode the H.264 frames of a network camera by PyAV, which reports damage that OpenCV does not."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..system.opencv import load_opencv
from ..system.packages import is_installed
from ..video.description import CLOCK
from .capture import Address

_CODES = (b"h264", b"H264", b"avc1", b"AVC1", b"x264", b"X264")  # in the order of their bytes


class H264Frames:
    """The frames of a capture, which gives its packets undecoded; damaged ones are not delivered.

    Attributes:
        is_waiting: True if the last packet was read, but gave no whole frame.
        damaged: number of damaged frames so far.
    """

    def __init__(self, capture: Any, address: Address) -> None:
        import av

        from ..video.convert import ToBGR8

        self._capture, self._av = capture, av
        self._decoder: Any = av.CodecContext.create("h264", "r")
        self._decoder.thread_type = "SLICE"  # threads for frames would each delay them by one
        if (extradata := _extradata(capture)) is not None:
            self._decoder.extradata = extradata
        self._to_bgr = ToBGR8(av, address.name)
        self.is_waiting = False
        self.damaged = 0

    @staticmethod
    def fits(capture: Any, address: Address) -> bool:
        """Return True if a capture is H.264 of a network camera, gives packets, and PyAV is installed."""
        cv2 = load_opencv()
        code = (int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF).to_bytes(4, "little")
        is_h264 = address.kind == "network" and code in _CODES
        return is_h264 and is_installed("av") and bool(capture.set(cv2.CAP_PROP_FORMAT, -1))

    def retrieve(self) -> np.ndarray | None:
        """Return the newest frame of the grabbed packet, BGR; None if it has none, or a damaged one."""
        is_read, data = self._capture.retrieve()
        self.is_waiting = is_read
        if not is_read:
            return None
        packet = self._av.Packet(data.tobytes())
        packet.time_base = CLOCK  # of any time; it has none
        try:
            frames = self._decoder.decode(packet)
        except self._av.error.FFmpegError:
            self.damaged += 1
            return None
        self.damaged += sum(frame.is_corrupt for frame in frames)
        if not frames or frames[-1].is_corrupt:
            return None
        self.is_waiting = False
        return self._to_bgr(frames[-1])


def _extradata(capture: Any) -> bytes | None:
    """Return the parameter sets from before the first packet, such as those of RTSP's description."""
    cv2 = load_opencv()
    is_read, data = capture.retrieve(flag=int(capture.get(cv2.CAP_PROP_CODEC_EXTRADATA_INDEX)))
    return data.tobytes() if is_read and data is not None and data.size else None
