"""Where frames come from: files, folders, globs, videos and cameras."""

from __future__ import annotations

from ..frame import Frame
from .capture import CameraSettings, is_camera
from .devices import Camera, list_cameras
from .files import VIDEO_SUFFIXES, find_files, find_images
from .source import camera_frames, frames

__all__ = [
    "VIDEO_SUFFIXES",
    "Camera",
    "CameraSettings",
    "Frame",
    "camera_frames",
    "find_files",
    "find_images",
    "frames",
    "is_camera",
    "list_cameras",
]
