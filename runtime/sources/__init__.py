"""Read frames of files, folders, globs, videos and cameras. Imports: images, video, system, frame."""

from __future__ import annotations

from ..frame import Frame
from .capture import CameraSettings
from .devices import Camera, list_cameras
from .files import find_files, find_images
from .inputs import VIDEO_SUFFIXES, Input, find_input
from .source import camera_frames, frames
from .video import bits_per_channel, count_frames, video_frames

__all__ = [
    "VIDEO_SUFFIXES",
    "Camera",
    "CameraSettings",
    "Frame",
    "Input",
    "bits_per_channel",
    "camera_frames",
    "count_frames",
    "find_files",
    "find_images",
    "find_input",
    "frames",
    "list_cameras",
    "video_frames",
]
