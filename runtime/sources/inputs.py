"""Say what an input is, from its name: an image, a video, a folder, a glob, a camera, the DND benchmark."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import UserError
from ..images.image import IMAGE_SUFFIXES
from ..images.raw import RAW_SUFFIXES
from ..passwords import hide_passwords

Kind = Literal["image", "video", "folder", "glob", "device", "network", "csi", "pipeline", "dnd"]

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".mts", ".ts", ".wmv")
_PIPELINE = " ! "  # between the elements of a GStreamer pipeline
_CAMERA, _DND = "camera:", "dnd:"  # prefixes by which a name says what it is


@dataclass(frozen=True)
class Input:
    """An input, as its name says."""

    name: str  # as it was given
    kind: Kind  # "image" and "video" are files; "device", "network", "csi" and "pipeline" are cameras
    path: Path | None = None  # of a file, a folder or a glob, or the DND benchmark's folder; None for cameras
    # of a camera, without its prefix: a number, a device, a URL or a GStreamer pipeline; "" for anything else
    address: str = ""

    @property
    def shown_name(self) -> str:
        """The name for messages and files: without a password."""
        return hide_passwords(self.name, is_address=True) if self.is_camera else self.name

    @property
    def is_camera(self) -> bool:
        """True if frames come from it as they are taken."""
        return bool(self.address)

    @property
    def is_moving(self) -> bool:
        """True if it is a camera or a video file."""
        return self.is_camera or self.kind == "video"

    @property
    def absolute_name(self) -> str:
        """The name by which it is found from any folder."""
        if self.path is None:
            return self.name
        prefix = _DND if self.kind == "dnd" else ""
        return prefix + os.path.abspath(self.path)  # noqa: PTH100, a glob is no path to resolve


def find_input(name: str | Path | int | Input) -> Input:
    """Return what a name stands for; nothing is opened. An Input is returned as it is.

    - A camera: 0 (the first), camera:0, /dev/video2, rtsp://…, http://…, csi://0, or a GStreamer pipeline.
      A file of that name comes first.
    - dnd:FOLDER: the DND benchmark.
    - A file: a video by its suffix, or by its first bytes where the suffix is of neither; else an image.
    - A folder, or a glob.

    Raises:
        UserError: the name is empty, or nothing of that name is there.
    """
    return name if isinstance(name, Input) else _classify(str(name))


def _classify(text: str) -> Input:
    if not text.strip() or text in (_CAMERA, _DND):
        raise UserError(f"'{text}' names nothing; name a file, a folder, a glob or a camera")
    if text.startswith(_DND):
        return Input(text, "dnd", Path(text.removeprefix(_DND)).expanduser())
    path = Path(text).expanduser()
    if path.is_file():
        return Input(text, "video" if _is_video(path) else "image", path)
    address = text.removeprefix(_CAMERA)
    if kind := _camera_kind(address):
        return Input(text, kind, address=address)
    if text.startswith(_CAMERA):
        raise UserError(f"{text} is no camera; name one as camera:0, camera:/dev/video0 or rtsp://…")
    if path.is_dir():
        return Input(text, "folder", path)
    if path.exists():  # a pipe
        return Input(text, "image", path)
    if glob.has_magic(text):
        return Input(text, "glob", path)
    raise UserError(f"{text}: there is no such file or folder")


def _camera_kind(address: str) -> Kind | None:
    if _PIPELINE in address:
        return "pipeline"
    if address.startswith("csi://"):
        return "csi"
    if "://" in address:
        return "network"
    return "device" if address.isdecimal() or address.startswith("/dev/") else None


def _is_video(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES + RAW_SUFFIXES + VIDEO_SUFFIXES:
        return suffix in VIDEO_SUFFIXES
    try:
        with open(path, "rb") as file:
            head = file.read(16)
    except OSError:  # reported when it is read
        return False
    is_iso_media = head[4:8] == b"ftyp" and head[8:12] not in (b"avif", b"heic", b"mif1", b"avis")
    is_avi = head[:4] == b"RIFF" and head[8:12] == b"AVI "
    return is_iso_media or is_avi or head.startswith((b"\x1aE\xdf\xa3", b"\x00\x00\x01\xba", b"FLV\x01"))
