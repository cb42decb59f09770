"""Files by address are found, read and written whole, on S3 over HTTP and by fsspec."""

from __future__ import annotations

import secrets
from pathlib import Path, PurePosixPath

import pytest
from n2b.runtime.cluster.jobs import plan_remote
from n2b.runtime.cluster.storage import address_of, find_remote, is_remote, read_file, write_file, written
from n2b.runtime.commands.settings import OutputPlan
from n2b.runtime.errors import UserError

SUFFIXES = (".png", ".tif")


@pytest.fixture(params=["s3", "memory"])
def root(request: pytest.FixtureRequest) -> str:
    """A folder with a.png, .hidden.png, notes.txt and deep/b.tif."""
    store = request.getfixturevalue("bucket") if request.param == "s3" else f"memory://{secrets.token_hex(8)}"
    address = f"{store}/photos"
    for name in ("a.png", ".hidden.png", "notes.txt", "deep/b.tif"):
        write_file(f"{address}/{name}", name.encode())
    return address


def below(name: str) -> list[str]:
    return [str(path) for _, path in find_remote(name, SUFFIXES)]


def test_files_are_found_and_read_by_folder_glob_and_name(root: str) -> None:
    assert list(find_remote(root, SUFFIXES)) == [
        (f"{root}/a.png", PurePosixPath("a.png")),
        (f"{root}/deep/b.tif", PurePosixPath("deep/b.tif")),
    ]
    assert below(f"{root}/*.png") == ["a.png"]
    assert below(f"{root}/d*/b.*") == ["deep/b.tif"]
    assert below(f"{root}/notes.txt") == ["notes.txt"]  # named: its reader decides
    assert read_file(f"{root}/deep/b.tif") == b"deep/b.tif"
    assert read_file(f"{root}/none") is None and written(f"{root}/none") is None
    with pytest.raises(UserError, match="no images"):
        below(f"{root}/none")


def test_a_file_is_replaced_whole(root: str) -> None:
    assert write_file(f"{root}/a.png", b"longer than before")[0] == 18
    assert read_file(f"{root}/a.png") == b"longer than before"
    names = [path.name for _, path in find_remote(root, (*SUFFIXES, ".txt"))]
    assert sorted(names) == ["a.png", "b.tif", "notes.txt"]


def test_a_bucket_that_is_not_there_is_named(bucket: str) -> None:
    with pytest.raises(UserError, match=f"{bucket}0/x cannot be reached"):
        write_file(f"{bucket}0/x", b"x")


def test_addresses_survive_being_a_path() -> None:
    assert is_remote("s3://b/x") and is_remote(Path("gs://b/x"))
    assert address_of(Path("s3://b/x/")) == "s3://b/x"
    for name in ("a/b.png", "/a/b", "file:///a", "rtsp://camera/1", "camera:0", "C:/x"):
        assert not is_remote(name)
    with pytest.raises(UserError, match="s3://BUCKET"):
        address_of("s3://")


def test_a_folder_is_planned_with_its_structure(root: str, tmp_path: Path) -> None:
    planned = plan_remote([root], OutputPlan(Path("memory://clean/out"), suffix="_1", ext="png"))
    assert [(task.source, task.destination) for task in planned] == [
        (f"{root}/a.png", "memory://clean/out/a_1.png"),
        (f"{root}/deep/b.tif", "memory://clean/out/deep/b_1.png"),
    ]
    local = plan_remote([f"{root}/*.png"], OutputPlan(tmp_path / "out"))
    assert [task.destination for task in local] == [str(tmp_path / "out" / "a.png")]


def test_what_does_not_fit_is_refused(root: str, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for inputs, outputs, message in (
        ([root], OutputPlan(), "with -o"),
        ([root], OutputPlan(folder / "a.png"), "name a folder"),
        ([root], OutputPlan(folder, reference=tmp_path), "--reference"),
        ([root], OutputPlan(Path(root)), "overwrite the input"),
        ([f"{root}/a.png", f"{root}/*/b.tif"], OutputPlan(folder, ext="gif"), "--ext"),
        ([f"{root}/*.jpg"], OutputPlan(folder), "no images"),
    ):
        with pytest.raises(UserError, match=message):
            plan_remote(inputs, outputs)
    for name in ("one", "two"):
        write_file(f"{root}/{name}/b.png", b"b")
    with pytest.raises(UserError, match="would both be written"):
        plan_remote([f"{root}/one", f"{root}/two"], OutputPlan(folder))
