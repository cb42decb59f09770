"""Send denoised frames to a virtual camera, which other programs can use."""

from __future__ import annotations

import logging
import sys
from typing import Any

import numpy as np

from ..errors import EnvironmentFault
from ..frame import Frame
from ..images.convert import to_rgb_uint8
from ..system.opencv import load_opencv
from ..system.packages import require

_logger = logging.getLogger(__name__)

_FPS = 30  # nominal; frames are sent as they arrive

_HOW_TO = {
    "linux": "on Linux: sudo apt install v4l2loopback-dkms; sudo modprobe v4l2loopback exclusive_caps=1",
    "darwin": "on macOS install OBS and start its virtual camera once",
    "win32": "on Windows install OBS",
}


class VirtualCameraSink:
    """Sends the denoised frames to a virtual camera.

    A virtual camera cannot change its size: frames of another size are scaled to that of the first.

    Args:
        device: such as /dev/video20; None: the first free one.

    Raises:
        MissingPackageError: pyvirtualcam is not installed.
    """

    def __init__(self, device: str | None = None) -> None:
        self._package = require("pyvirtualcam", extra="virtualcam")
        self._device = device
        self._camera: Any = None

    def write(self, _frame: Frame, denoised: np.ndarray, /) -> bool:
        """Send one frame.

        Raises:
            EnvironmentFault: there is no virtual camera; the message says how to set one up.
        """
        height, width = denoised.shape[:2]
        if self._camera is None:
            self._camera = self._open(height, width)
        camera = self._camera
        rgb = to_rgb_uint8(denoised)
        if (width, height) != (camera.width, camera.height):
            cv2 = load_opencv()
            rgb = cv2.resize(rgb, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
        camera.send(rgb)
        return True

    def close(self) -> None:
        """Release the device."""
        if self._camera is not None:
            self._camera.close()

    def _open(self, height: int, width: int) -> Any:
        # Chroma has half the size, so both sides must be even.
        even_width, even_height = width + width % 2, height + height % 2
        if (even_width, even_height) != (width, height):
            _logger.warning(
                f"a virtual camera needs even sides: frames are scaled to {even_width}×{even_height} px"
            )
        try:
            camera = self._package.Camera(even_width, even_height, _FPS, device=self._device)
        except Exception as error:  # RuntimeError, ValueError or OSError, depending on the system
            how = _HOW_TO.get(sys.platform, "see the page of pyvirtualcam")
            raise EnvironmentFault(f"no virtual camera: {error}; {how}") from error
        _logger.info(f"virtual camera: {camera.device}")
        return camera
