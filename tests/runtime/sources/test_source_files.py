"""Finding images and videos among files."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from n2b.runtime.errors import UserError
from n2b.runtime.sources import VIDEO_SUFFIXES, files, find_files, find_images


def _touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def _found(root, *inputs):
    return [path.relative_to(root).as_posix() for path in find_images(inputs)]


def test_a_folder_gives_its_images_and_those_of_its_subfolders_in_natural_order(tmp_path):
    _touch(tmp_path, "img10.png", "img2.PNG", "Img1.jpg", "b/2.tiff", "b/10.webp", "a9/x.bmp", "a10/x.JPEG")
    assert _found(tmp_path, tmp_path) == [
        "a9/x.bmp", "a10/x.JPEG", "b/2.tiff", "b/10.webp", "Img1.jpg", "img2.PNG", "img10.png",
    ]  # fmt: skip


def test_hidden_unfinished_and_other_files_are_skipped(tmp_path):
    _touch(
        tmp_path, "a.png", ".b.png", ".c/d.png", "e.png.part", ".f-123.part.png", "g.part.png", "h.txt", "i"
    )
    (tmp_path / "folder.png").mkdir()
    assert _found(tmp_path, tmp_path) == ["a.png"]
    assert _found(tmp_path, tmp_path / "*") == ["a.png"]


@pytest.mark.parametrize(
    ("links", "warning"),
    [
        ({"photos/trip": "elsewhere"}, "left out: {}/photos/trip, a linked folder; name it as an input too"),
        ({"photos/b/loop": "photos"}, "left out: {}/photos/b/loop, a linked folder"),
        ({"photos/x": "elsewhere", "photos/b/y": "elsewhere", "photos/z": "."}, " and 2 more linked folders"),
        ({"photos/.cache": "elsewhere", "photos/one.png": "elsewhere/c.png"}, ""),
    ],
)
def test_linked_folders_are_left_out_with_one_warning(tmp_path, caplog, links, warning):
    _touch(tmp_path, "photos/a.png", "photos/b/b.png", "elsewhere/c.png")
    for link, target in links.items():
        (tmp_path / link).symlink_to(tmp_path / target)
    expected = ["photos/a.png", "photos/b/b.png", *(link for link in links if link.endswith(".png"))]
    for _ in range(2):  # as a training does
        assert sorted(_found(tmp_path, tmp_path / "photos")) == sorted(expected)
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == bool(warning)
    assert warning.format(tmp_path) in "".join(messages)


def test_a_linked_folder_that_is_named_is_taken(tmp_path, caplog):
    _touch(tmp_path, "elsewhere/c.png")
    (tmp_path / "photos").symlink_to(tmp_path / "elsewhere")
    assert _found(tmp_path, tmp_path / "photos") == ["photos/c.png"]
    assert not caplog.records


def test_a_hidden_folder_is_searched_if_it_is_named(tmp_path):
    _touch(tmp_path, ".cache/a.png")
    assert _found(tmp_path, tmp_path / ".cache") == [".cache/a.png"]


def test_a_named_file_is_taken_whatever_its_suffix(tmp_path):
    _touch(tmp_path, "scan", ".hidden.png")
    assert _found(tmp_path, tmp_path / "scan", str(tmp_path / ".hidden.png")) == ["scan", ".hidden.png"]


def test_globs_match_files_and_folders(tmp_path):
    _touch(tmp_path, "a/2.png", "a/10.png", "a/2.jpg", "b/c/1.png", "b/note.txt")
    assert _found(tmp_path, tmp_path / "a" / "*.png") == ["a/2.png", "a/10.png"]
    assert _found(tmp_path, tmp_path / "**" / "*.png") == ["a/2.png", "a/10.png", "b/c/1.png"]
    assert _found(tmp_path, tmp_path / "*") == ["a/2.jpg", "a/2.png", "a/10.png", "b/c/1.png"]
    assert _found(tmp_path, tmp_path / "a" / "[0-9].???") == ["a/2.jpg", "a/2.png"]


def test_a_file_whose_name_looks_like_a_glob_is_a_file(tmp_path):
    _touch(tmp_path, "a[1].png", "a1.png")
    assert _found(tmp_path, tmp_path / "a[1].png") == ["a[1].png"]


def test_each_file_is_found_once_in_the_order_of_the_inputs(tmp_path, monkeypatch):
    _touch(tmp_path, "a/1.png", "b/2.png")
    monkeypatch.chdir(tmp_path)
    inputs = ["b", "a/../b/2.png", tmp_path / "b", Path("a"), "a/*.png"]
    assert find_images(inputs) == [Path("b/2.png"), Path("a/1.png")]


def test_paths_stay_relative_or_absolute(tmp_path, monkeypatch):
    _touch(tmp_path, "a/1.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_images(["a"]) == [Path("a/1.png")]
    assert find_images(["~/a"]) == [tmp_path / "a" / "1.png"]


def test_the_error_for_no_files_names_places_and_suffixes(tmp_path):
    _touch(tmp_path, "notes.txt")
    for name in (tmp_path, tmp_path / "*.png"):
        with pytest.raises(UserError) as caught:
            find_images([name])
        assert str(name) in str(caught.value)
        assert ".png .jpg" in str(caught.value)
    with pytest.raises(UserError, match="no images found in nothing"):
        find_images([])


def test_a_missing_file_among_others_is_named(tmp_path):
    _touch(tmp_path, "a.png")
    with pytest.raises(UserError, match=r"b\.png: there is no such file or folder"):
        find_images([tmp_path / "a.png", tmp_path / "b.png"])


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    _touch(tmp_path, "a.png", "closed/b.png")
    scandir = os.scandir

    def refuse(path):  # as the system does it to all but administrators
        if Path(path).name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match="closed cannot be listed: Permission denied"):
        find_images([tmp_path])


@given(st.lists(st.integers(0, 10**6), unique=True, min_size=1), st.sampled_from(["", "img", "a1-"]))
def test_numbers_in_names_are_sorted_by_value(numbers, prefix):
    names = [Path(f"{prefix}{number}.png") for number in numbers]
    ordered = sorted(names, key=files._natural_order)
    assert ordered == [Path(f"{prefix}{number}.png") for number in sorted(numbers)]


@given(st.lists(st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1)))
def test_any_names_can_be_sorted(names):
    assert len(sorted(map(Path, names), key=files._natural_order)) == len(names)


def test_videos_are_found_as_images_are(tmp_path):
    _touch(tmp_path, "b/2.MP4", "b/10.mkv", "a.png", "clip.part.mp4")
    assert find_files([tmp_path], VIDEO_SUFFIXES, "videos") == [tmp_path / "b/2.MP4", tmp_path / "b/10.mkv"]
    with pytest.raises(UserError, match=r"no videos found in .*a\.\*; files count that end in \.mp4"):
        find_files([tmp_path / "a.*"], VIDEO_SUFFIXES, "videos")
