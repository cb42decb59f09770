from __future__ import annotations

import re
from pathlib import Path

import pytest
from n2b.runtime.system.run_folders import link_latest, new_dated_folder


def test_names_are_dates_and_never_taken_twice(tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        folder = new_dated_folder(tmp_path)
        folder.mkdir()
        names.append(folder.name)
    assert len(set(names)) == 3
    assert all(re.fullmatch(r"\d{8}-\d{6}(-\d)?", name) for name in names)


def test_latest_moves_to_the_newest(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        link_latest(tmp_path / "runs" / name, tmp_path / "runs")
        assert (tmp_path / "runs" / "latest").resolve() == tmp_path / "runs" / name
    assert not (tmp_path / "runs" / "latest").readlink().is_absolute()  # the folder of runs can be moved
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["first", "latest", "second"]


def test_a_folder_in_the_link_s_place_is_left_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "latest" / "kept").mkdir(parents=True)
    link_latest(tmp_path / "new", tmp_path)
    assert "latest was not updated" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["latest"]
    assert (tmp_path / "latest" / "kept").is_dir()
