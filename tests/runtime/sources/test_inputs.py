"""Names are classified once: images, videos, folders, globs, cameras, the DND benchmark."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from n2b.runtime.errors import UserError
from n2b.runtime.images.image import Image, write_image
from n2b.runtime.sources import find_images, find_input, frames

ISO_MEDIA = b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00"
HEIF = b"\x00\x00\x00\x20ftypheic\x00\x00\x00\x00"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, content in {
        "a.png": b"", "b.MP4": b"", "clip": ISO_MEDIA, "clip.bin": b"\x1aE\xdf\xa3webm", "photo": b"\x89PNG",
        "photo.heic": HEIF, "7": b"", "camera:1": b"",
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(content)
    (tmp_path / "images").mkdir()
    return tmp_path


@pytest.mark.parametrize(("name", "kind"), [
    ("a.png", "image"), ("b.MP4", "video"), ("clip", "video"), ("clip.bin", "video"), ("photo", "image"),
    ("photo.heic", "image"), ("images", "folder"), (".", "folder"), ("*.png", "glob"),
    ("images/**/*.png", "glob"),    ("dnd:images", "dnd"),
])  # fmt: skip
def test_paths(name: str, kind: str) -> None:
    found = find_input(name)
    assert (found.kind, found.is_camera) == (kind, False)
    assert found.path == Path(name.removeprefix("dnd:"))


@pytest.mark.parametrize(("name", "kind", "address"), [
    (0, "device", "0"), ("0", "device", "0"), ("camera:0", "device", "0"),
    ("/dev/video2", "device", "/dev/video2"),
    ("camera:/dev/video2", "device", "/dev/video2"), ("rtsp://host/1", "network", "rtsp://host/1"),
    ("http://host/s.mjpg", "network", "http://host/s.mjpg"), ("csi://0", "csi", "csi://0"),
    ("rtspsrc location=rtsp://host/1 ! fakesink", "pipeline", "rtspsrc location=rtsp://host/1 ! fakesink"),
])  # fmt: skip
def test_cameras(name: str | int, kind: str, address: str) -> None:
    found = find_input(name)
    assert (found.kind, found.address, found.path, found.is_camera) == (kind, address, None, True)


def test_a_file_comes_before_a_camera_of_its_name() -> None:
    assert find_input("7").kind == "image"
    assert find_input("camera:1").kind == "image"
    assert find_input("8").kind == "device"


@pytest.mark.parametrize("name", ["", " ", "camera:", "dnd:"])
def test_an_empty_name_is_not_this_folder(name: str) -> None:
    with pytest.raises(UserError, match="names nothing"):
        find_input(name)
    with pytest.raises(UserError, match="names nothing"):
        frames(name)


def test_what_is_not_there_is_an_error() -> None:
    with pytest.raises(UserError, match=r"^c\.png: there is no such file or folder$"):
        find_input("c.png")
    with pytest.raises(UserError, match="camera:x is no camera"):
        find_input("camera:x")


def test_absolute_names_find_the_same_from_any_folder(folder: Path) -> None:
    names = ["a.png", "*.png", "dnd:images", "camera:0", "rtsp://host/1"]
    here = [find_input(name).absolute_name for name in names]
    assert here == [f"{folder}/a.png", f"{folder}/*.png", f"dnd:{folder}/images", "camera:0", "rtsp://host/1"]
    os.chdir("images")
    assert [find_input(name).kind for name in here] == ["image", "glob", "dnd", "device", "network"]


def test_frames_follow_what_an_input_is_also_without_a_suffix() -> None:
    write_image("named.png", Image(np.full((4, 6, 1), 7, np.uint8)))
    Path("named.png").rename("unnamed")
    assert [frame.pixels.shape for frame in frames("unnamed")] == [(4, 6, 1)]
    assert find_images([find_input("unnamed")]) == [Path("unnamed")]
