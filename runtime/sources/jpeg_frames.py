"""Decode the JPEG frames of a camera here, so that frames that arrive cut or damaged are noticed."""

from __future__ import annotations

import logging
import re
from typing import Any

import numpy as np

from ..system.opencv import load_opencv, record_messages
from .capture import Address

_logger = logging.getLogger(__name__)

# libjpeg's messages; some cameras pad their frames with a few bytes
_MESSAGE = re.compile(r"^(Corrupt JPEG data|Premature end)(?!: \d{1,2} extraneous bytes)")
_TRIES = 5  # frames; if all are damaged, the camera sends no others
_MOTION_JPEG = b"MJPG"
_END = b"\xff\xd9"


class JpegFrames:
    """The frames of a capture, decoded here if they are JPEG.

    OpenCV patches up what is missing of a frame, and does not say so. A camera whose frames are damaged from
    the first is taken as it is.

    Attributes:
        is_waiting, damaged: as of `H264Frames`; each packet is a frame here, and None is a damaged one.
    """

    is_waiting = False
    damaged = 0

    def __init__(self, capture: Any, address: Address) -> None:
        cv2 = load_opencv()
        self._capture, self._address = capture, address
        self._has_whole = False
        self._damaged = 0
        code = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
        is_jpeg = code.to_bytes(4, "little") == _MOTION_JPEG
        # the property that asks for the bytes of frames, its value for that, and for pixels
        properties = {
            "network": (cv2.CAP_PROP_FORMAT, -1, 0),
            "device": (cv2.CAP_PROP_CONVERT_RGB, 0, 1),
        }
        self._undecoded = properties.get(address.kind) if is_jpeg else None
        if self._undecoded is not None and not capture.set(*self._undecoded[:2]):
            self._undecoded = None

    def retrieve(self) -> np.ndarray | None:
        """Return the grabbed frame, BGR or grey; None if it is damaged."""
        is_whole, data = self._capture.retrieve()
        if not is_whole or self._undecoded is None:
            return data if is_whole else None
        if data.ndim != 2 or data.shape[0] != 1 or data.dtype != np.uint8:  # the driver has decoded it
            setting, _, default = self._undecoded
            self._capture.set(setting, default)
            self._undecoded = None
            return None
        return self._decode(data)

    def _decode(self, data: np.ndarray) -> np.ndarray | None:
        cv2 = load_opencv()
        is_cut = not bytes(data[0, -64:]).rstrip(b"\0\xff\r\n").endswith(_END[1:])
        if is_cut:
            if self._has_whole:
                return None
            data = np.append(data, np.frombuffer(_END, np.uint8))
        with record_messages() as messages:
            pixels = cv2.imdecode(data, cv2.IMREAD_COLOR)
        if pixels is None:
            return None
        if not (is_cut or any(map(_MESSAGE.search, messages))):
            self._has_whole = True
            return pixels
        self._damaged += 1
        if self._has_whole or self._damaged < _TRIES:
            return None
        if self._damaged == _TRIES:
            _logger.warning(
                f"camera {self._address.name} sends damaged JPEG frames only; they are used as they are"
            )
        return pixels
