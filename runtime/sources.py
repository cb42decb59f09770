"""Where images come from: files, folders and globs, or a camera."""

from __future__ import annotations

import glob
import os
import re
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import DeviceError, ImageError, UserError
from .frame import Frame
from .image import IMAGE_SUFFIXES
from .opencv import load_opencv, quiet


@dataclass(frozen=True)
class Camera:
    """A camera that the machine has: its device, such as /dev/video0, and what it calls itself."""

    device: str
    name: str


def find_images(inputs: Sequence[str | Path]) -> list[Path]:
    """The image files that files, folders (with all their subfolders) and globs name.

    Returns:
        Paths in the order of the inputs, and in natural order (2.png before 10.png) within each; each
        file once. A file that is named is taken as it is. In folders and globs hidden files and
        unfinished ones (.part) are skipped, and so is what has no image suffix.

    Raises:
        UserError: an input does not exist, a folder cannot be listed, or no image was found.
    """
    found: dict[str, Path] = {}
    for name in inputs:
        for path in _images_of(Path(name).expanduser()):
            found.setdefault(os.path.abspath(path), path)  # noqa: PTH100, two links are two images
    if not found:
        places = ", ".join(str(name) for name in inputs) or "nothing"
        raise UserError(f"no images found in {places}; files count that end in {' '.join(IMAGE_SUFFIXES)}")
    return list(found.values())


def _images_of(name: Path) -> list[Path]:
    if name.is_dir():
        return sorted(_walk(name), key=_natural_order)
    if name.exists():
        return [name]
    if not glob.has_magic(str(name)):
        raise UserError(f"{name}: there is no such file or folder")
    matches = [Path(match) for match in glob.glob(str(name), recursive=True)]  # noqa: PTH207, may be absolute
    inside = (path for match in matches if match.is_dir() for path in _walk(match))
    return sorted({*filter(_is_image, matches), *inside}, key=_natural_order)


def _walk(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename} cannot be listed: {error.strerror}") from error

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from filter(_is_image, (Path(parent, name) for name in files))


def _is_image(path: Path) -> bool:
    name = path.name.lower()
    if name.startswith(".") or ".part." in name:
        return False
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.is_dir()


def _natural_order(path: Path) -> list[list[str | int]]:
    """Sorts img2 before img10: words and numbers alternate, so like is compared with like."""
    return [
        [
            int(piece) if index % 2 else piece
            for index, piece in enumerate(re.split(r"([0-9]+)", part.casefold()))
        ]
        for part in path.parts
    ]


def list_cameras(root: str | Path = "/") -> list[Camera]:
    """The video devices of this machine, as Linux lists them; empty on other systems.

    Args:
        root: where /dev and /sys are.
    """
    devices = sorted(Path(root, "dev").glob("video[0-9]*"), key=_natural_order)
    return [Camera(f"/dev/{device.name}", _camera_name(Path(root), device.name)) for device in devices]


def _camera_name(root: Path, device: str) -> str:
    try:
        return (root / "sys/class/video4linux" / device / "name").read_text(errors="replace").strip()
    except OSError:  # a container may hide /sys
        return "unnamed"


def camera_frames(camera: str | int) -> Generator[Frame, None, None]:
    """The frames of a camera until it is closed, or of a video file until it ends.

    The camera is opened here, and released when the iterator is closed or used up.

    Args:
        camera: a number (0 is the first camera), a device such as /dev/video0, or a video file.

    Raises:
        DeviceError: the camera does not open, gives no frame or stops; the message lists those there are.
        ImageError: a file that is no video which OpenCV can decode.
        UserError: there is no such file.
    """
    source = str(camera)
    is_file = Path(source).is_file()
    is_device = source.isdecimal() or source.startswith("/dev/") or "://" in source
    if not is_file and not is_device:
        raise UserError(f"{source}: there is no such video file or camera; {_cameras_found()}")
    cv2 = load_opencv()
    with quiet():
        capture = cv2.VideoCapture(int(source) if source.isdecimal() and not is_file else source)
        is_open = capture.isOpened() and capture.grab()
    if not is_open:
        capture.release()
        if is_file:
            raise ImageError(f"{source} is not a video that OpenCV can decode")
        raise DeviceError(f"camera {source} does not open or gives no frame; {_cameras_found()}")
    return _frames(capture, source, is_file)


def _frames(capture: Any, source: str, is_file: bool) -> Generator[Frame, None, None]:
    """The frames of a capture that has grabbed its first."""
    cv2 = load_opencv()
    index = 0
    try:
        while True:
            clock_ns = time.monotonic_ns()
            film_ns = round(capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
            is_whole, decoded = capture.retrieve()
            if is_whole:
                rgb = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB) if decoded.ndim == 3 else decoded[:, :, None]
                yield Frame(rgb, source, index, film_ns if is_file else clock_ns, clock_ns)
                index += 1
            if not capture.grab():
                break
        if not is_file:
            raise DeviceError(f"camera {source} stopped after {index} frames; {_cameras_found()}")
    finally:
        capture.release()


def _cameras_found() -> str:
    if sys.platform != "linux":
        return "see that it is plugged in and that this program may use it"
    cameras = list_cameras()
    if not cameras:
        return "no video devices found"
    return "video devices found: " + ", ".join(f"{camera.device} ({camera.name})" for camera in cameras)
