"""Where a stream's frames go."""

from __future__ import annotations

from .folder import FolderSink
from .sink import Sink
from .window import WindowSink

__all__ = ["FolderSink", "Sink", "WindowSink"]
