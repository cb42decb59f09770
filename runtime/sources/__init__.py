"""Read frames from files, folders, globs, videos and cameras. Imports: images, system, frame, errors."""

from __future__ import annotations

from ..frame import Frame
from .capture import CameraSettings
from .devices import Camera, list_cameras
from .files import find_files, find_images
from .inputs import VIDEO_SUFFIXES, Input, find_input
from .source import camera_frames, frames

__all__ = [
    "VIDEO_SUFFIXES",
    "Camera",
    "CameraSettings",
    "Frame",
    "Input",
    "camera_frames",
    "find_files",
    "find_images",
    "find_input",
    "frames",
    "list_cameras",
]
