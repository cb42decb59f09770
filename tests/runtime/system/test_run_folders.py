from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from n2b.runtime.errors import UserError
from n2b.runtime.system.run_folders import Claim, claimed_folder, link_latest


def test_names_are_dates_and_never_taken_twice(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:  # as processes that start in the same second
        folders = list(pool.map(lambda _: Claim(None, tmp_path).folder, range(20)))
    assert len(set(folders)) == 20
    assert all(folder.is_dir() for folder in folders)
    assert all(re.fullmatch(r"\d{8}-\d{6}(-\d+)?", folder.name) for folder in folders)


def test_exactly_what_was_made_is_taken_back(tmp_path: Path) -> None:
    found = tmp_path / "found"
    found.mkdir()
    (found / "mine").write_text("mine")
    for folder in (None, found, tmp_path / "new" / "run"):
        claim = Claim(folder, tmp_path / "runs")
        (claim.folder / "below").mkdir()
        (claim.folder / "below" / "file").touch()
        (claim.folder / "link").symlink_to(found)
        claim.take_back()
        assert [path.name for path in tmp_path.iterdir()] == ["found"]
        assert [path.name for path in found.iterdir()] == ["mine"]


def test_a_folder_that_another_uses_stays(tmp_path: Path) -> None:
    claim, other = (Claim(None, tmp_path / "runs") for _ in range(2))
    claim.take_back()
    assert not claim.folder.exists()
    assert other.folder.is_dir()


def test_a_failed_block_takes_its_folder_back(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), claimed_folder(tmp_path / "exports"):
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder, parent in (
        (None, tmp_path / "file"),
        (tmp_path / "file" / "run", tmp_path),
        (tmp_path / "file", tmp_path),
    ):
        with pytest.raises(UserError, match=r"cannot write .*; choose another folder"):
            Claim(folder, parent)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


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


def test_what_a_process_killed_at_the_link_left_is_removed_by_the_next(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from n2b.runtime.system.run_folders import link_latest\n"
        "Path.replace = lambda *_: os.kill(os.getpid(), 9)\n"
        "link_latest(Path(sys.argv[1]) / 'first', Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    (tmp_path / "second").mkdir()
    link_latest(tmp_path / "second", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "second"]


CLAIMING = """
import pathlib, sys, time
from n2b.runtime.system.run_folders import Claim

claim = Claim(None, pathlib.Path(sys.argv[1]))
print(claim.folder, flush=True)
time.sleep(60)
"""


def test_what_killed_runs_left_is_removed_and_what_running_ones_made_stays(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CLAIMING, str(tmp_path)]
    full, foreign = tmp_path / "20250131-235959", tmp_path / "2025"
    (full / "below").mkdir(parents=True)
    foreign.mkdir()
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as killed,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running,
    ):
        assert killed.stdout is not None and running.stdout is not None
        left, kept = (Path(output.readline().strip()) for output in (killed.stdout, running.stdout))
        killed.kill()
        killed.wait()
        assert left.is_dir() and kept.is_dir()
        (tmp_path / "20250131-000000-2").mkdir()
        new = Claim(None, tmp_path)
        new.unlock()
        assert {*tmp_path.iterdir()} == {full, foreign, kept, new.folder}
        running.kill()
    Claim(None, tmp_path).take_back()
    assert {*tmp_path.iterdir()} == {full, foreign}
