"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path
from typing import NoReturn

import pytest
from n2b.runtime.errors import UserError
from n2b.runtime.system.files import atomic_path, sha256_of_file, write_atomically
from n2b.runtime.system.temporary import Temporary


def test_a_file_is_hashed_as_a_whole(tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    (tmp_path / "data").write_bytes(data)
    assert sha256_of_file(tmp_path / "data") == hashlib.sha256(data).hexdigest()


def test_a_file_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.png"
    with atomic_path(path) as temporary:
        assert (temporary.parent, temporary.suffix) == (path.parent, ".png")
        temporary.write_bytes(b"whole")
        assert not path.exists()
    assert [file.name for file in path.parent.iterdir()] == ["a.png"]
    assert path.read_bytes() == b"whole"


@pytest.mark.parametrize("has_links", [True, False])
def test_of_recordings_with_one_name_each_is_kept(
    tmp_path: Path, has_links: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    if not has_links:
        monkeypatch.setattr(Path, "hardlink_to", refuse)
    path = tmp_path / "a.mkv"
    kept = [atomic_path(path, is_kept=True) for _ in range(3)]
    for number, context in enumerate(kept, 1):
        context.__enter__().write_bytes(bytes([number]))
    for context in reversed(kept):
        context.__exit__(None, None, None)
    contents = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert contents == {"a.mkv": b"\3", "a-2.mkv": b"\2", "a-3.mkv": b"\1"}
    assert caplog.messages == [
        f"{path} exists by now, of another process; this one is {path.with_stem(name)}"
        for name in ("a-2", "a-3")
    ]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_atomically(path, b"old")
    with pytest.raises(ZeroDivisionError), atomic_path(path) as temporary:
        temporary.write_bytes(b"half")
        raise ZeroDivisionError
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write") as caught:
        write_atomically(tmp_path / "file" / "a.txt", b"")
    assert "\n" not in str(caught.value)


LONGEST = ["a" * 251 + ".png", "a" * 240 + ".png", "ä" * 125 + ".tif", "b." + "c" * 253, "." + "d" * 254]


@pytest.mark.parametrize("name", LONGEST)
def test_the_longest_names_can_be_written(tmp_path: Path, name: str) -> None:
    write_atomically(tmp_path / name, b"whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_temporary_name_has_the_suffix_and_is_hidden(tmp_path: Path) -> None:
    with atomic_path(tmp_path / f"{'a' * 240}.tiff") as temporary:
        assert temporary.suffix == ".tiff" and temporary.name.startswith(".") and len(temporary.name) < 60


@pytest.mark.parametrize(
    ("name", "advice"), [("a" * 252 + ".png", "choose a shorter name"), ("folder", "choose another name")]
)
def test_a_name_that_cannot_be_taken_is_refused_before_the_work(
    tmp_path: Path, name: str, advice: str
) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=advice), atomic_path(tmp_path / name):
        pytest.fail("the work began")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_a_file_has_the_permissions_of_any_new_one(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "a.txt", b"whole")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o666 & ~mask


def test_neither_chmod_nor_umask_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    for name in ("chmod", "fchmod", "lchmod", "umask"):
        monkeypatch.setattr(os, name, refuse, raising=False)
    write_atomically(tmp_path / "a.txt", b"whole")
    with Temporary(tmp_path / "b", is_folder=True) as folder:
        assert folder.is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.ENOTSUP])
def test_a_file_system_without_fsync_gets_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(_: int) -> NoReturn:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    write_atomically(tmp_path / "a.txt", b"whole")
    assert (tmp_path / "a.txt").read_bytes() == b"whole"


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_disk_that_fails_to_keep_the_file_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(_: int) -> NoReturn:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UserError, match=r"cannot write .*a\.txt: .*; free space or choose another folder"):
        write_atomically(tmp_path / "a.txt", b"whole")
    assert list(tmp_path.iterdir()) == []
