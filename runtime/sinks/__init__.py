"""Where a stream's frames go."""

from __future__ import annotations

from .film_writer import FILM_FORMATS
from .folder import FolderSink
from .record import FilmSink, RecordSink
from .sink import AttendedSink, Sink
from .virtual_camera import VirtualCameraSink
from .window import WindowSink

__all__ = [
    "FILM_FORMATS",
    "AttendedSink",
    "FilmSink",
    "FolderSink",
    "RecordSink",
    "Sink",
    "VirtualCameraSink",
    "WindowSink",
]
