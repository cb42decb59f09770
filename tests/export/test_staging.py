from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from n2b.export.staging import staged_folder
from n2b.runtime.errors import UserError


def test_files_appear_together_when_the_block_ends(tmp_path: Path) -> None:
    final = tmp_path / "below" / "export"
    with staged_folder(final) as staging:
        (staging / "a").write_text("1")
        (staging / "b").write_text("2")
        assert not final.exists()
    assert sorted(path.name for path in final.iterdir()) == ["a", "b"]
    assert [path.name for path in final.parent.iterdir()] == ["export"]


def test_a_new_folder_has_the_usual_rights(tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.mkdir()
    with staged_folder(tmp_path / "export"):
        pass
    assert (tmp_path / "export").stat().st_mode == usual.stat().st_mode


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), staged_folder(tmp_path / "export") as staging:
        (staging / "a").write_text("1")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_an_earlier_export_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "a").write_text("old")
    with pytest.raises(KeyboardInterrupt), staged_folder(tmp_path / "export") as staging:
        (staging / "a").write_text("new")
        raise KeyboardInterrupt
    assert (tmp_path / "export" / "a").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_files_of_the_same_name_are_replaced_and_others_stay(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    (tmp_path / "notes").write_text("mine")
    with staged_folder(tmp_path) as staging:
        (staging / "a").write_text("new")
    assert (tmp_path / "a").read_text() == "new"
    assert (tmp_path / "notes").read_text() == "mine"


def test_a_file_in_the_folder_s_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file; name a folder"), staged_folder(tmp_path / "file"):
        pass
    with pytest.raises(UserError, match="choose another folder"), staged_folder(tmp_path / "file" / "x"):
        pass


def test_folders_above_come_into_being_only_when_the_block_succeeds(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), staged_folder(tmp_path / "a" / "b" / "export"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("links", [True, False])
def test_files_that_cannot_all_be_replaced_are_all_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    if not links:
        monkeypatch.setattr(Path, "hardlink_to", no_links)
    (tmp_path / "a").write_text("old")
    (tmp_path / "z").mkdir()  # a folder in a file's place
    with pytest.raises(UserError, match="cannot write"), staged_folder(tmp_path) as staging:
        for name in ("a", "b", "z"):
            (staging / name).write_text("new")
    assert (tmp_path / "a").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "z"]


def test_leftovers_of_a_killed_export_are_cleared_and_those_of_a_live_one_kept(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from n2b.export.staging import staged_folder\n"
        "with staged_folder(Path(sys.argv[1])) as staging:\n"
        "    (staging / 'model.onnx').touch(); os.kill(os.getpid(), 9)"
    )
    for name in ("export", "other", "20250131-235959"):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], check=False)
        assert len(list(tmp_path.iterdir())) == 1  # each clears what the one before left
    with staged_folder(tmp_path / "export") as first, staged_folder(tmp_path / "export") as second:
        assert sorted(tmp_path.iterdir()) == sorted([first, second])
        (second / "a").touch()
    assert [path.name for path in (tmp_path / "export").iterdir()] == ["a"]
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


@pytest.mark.parametrize("name", ["a" * 255, "ä" * 127, "b" * 240])
def test_the_longest_names_of_folders_can_be_written(tmp_path: Path, name: str) -> None:
    with staged_folder(tmp_path / name) as staging:
        (staging / "a").touch()
    assert [path.name for path in (tmp_path / name).iterdir()] == ["a"]


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match=r"cannot write .*: File name too long"),
        staged_folder(tmp_path / ("a" * 256)),
    ):
        pytest.fail("the work began")


def test_a_file_system_that_refuses_chmod_gets_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chmod", refuse)
    monkeypatch.setattr(Path, "hardlink_to", refuse)  # as such file systems do
    for content in ("1", "2"):
        with staged_folder(tmp_path / "export") as staging:
            (staging / "a").write_text(content)
        assert (tmp_path / "export" / "a").read_text() == content
