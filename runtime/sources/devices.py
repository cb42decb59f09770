"""List the cameras of this machine."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Camera:
    """A local camera: its device, such as /dev/video0, and its name."""

    device: str
    name: str


def list_cameras(root: str | Path = "/") -> list[Camera]:
    """Return the video devices that Linux lists; empty on other systems.

    Args:
        root: where /dev and /sys are.
    """
    devices = sorted(Path(root, "dev").glob("video[0-9]*"), key=lambda path: int(path.name[len("video") :]))
    return [Camera(f"/dev/{device.name}", _camera_name(Path(root), device.name)) for device in devices]


def cameras_found() -> str:
    """Return a hint for the error message of a camera that does not open."""
    if sys.platform != "linux":
        return "check that it is plugged in and that this program may use it"
    cameras = list_cameras()
    if not cameras:
        return "no video devices found"
    return "video devices found: " + ", ".join(f"{camera.device} ({camera.name})" for camera in cameras)


def _camera_name(root: Path, device: str) -> str:
    try:
        return (root / "sys/class/video4linux" / device / "name").read_text(errors="replace").strip()
    except OSError:  # a container may hide /sys
        return "unnamed"
