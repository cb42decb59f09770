"""The cameras that this machine has."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Camera:
    """A camera that the machine has: its device, such as /dev/video0, and what it calls itself."""

    device: str
    name: str


def list_cameras(root: str | Path = "/") -> list[Camera]:
    """The video devices of this machine, as Linux lists them; empty on other systems.

    Args:
        root: where /dev and /sys are.
    """
    devices = sorted(Path(root, "dev").glob("video[0-9]*"), key=lambda path: int(path.name[len("video") :]))
    return [Camera(f"/dev/{device.name}", _camera_name(Path(root), device.name)) for device in devices]


def cameras_found() -> str:
    """What to try in the place of a camera that does not open, for its message."""
    if sys.platform != "linux":
        return "see that it is plugged in and that this program may use it"
    cameras = list_cameras()
    if not cameras:
        return "no video devices found"
    return "video devices found: " + ", ".join(f"{camera.device} ({camera.name})" for camera in cameras)


def _camera_name(root: Path, device: str) -> str:
    try:
        return (root / "sys/class/video4linux" / device / "name").read_text(errors="replace").strip()
    except OSError:  # a container may hide /sys
        return "unnamed"
