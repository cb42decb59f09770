"""Write a stream's frames to folders, videos, windows and cameras. Imports: images, system, frame."""

from __future__ import annotations

from .folder import FolderSink
from .record import RecordSink, VideoSink
from .restream import RestreamSink
from .sink import InteractiveSink, Sink
from .video_writer import VIDEO_FORMATS
from .virtual_camera import VirtualCameraSink
from .window import WindowSink

__all__ = [
    "VIDEO_FORMATS",
    "FolderSink",
    "InteractiveSink",
    "RecordSink",
    "RestreamSink",
    "Sink",
    "VideoSink",
    "VirtualCameraSink",
    "WindowSink",
]
