"""Leftovers of a killed process are removed by the next run in its folder, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from n2b.runtime.system import temporary
from n2b.runtime.system.files import atomic_path, write_atomically
from n2b.runtime.system.temporary import Temporary, remove_abandoned

_KILLED = """
import os, sys
from pathlib import Path
from n2b.runtime.system.temporary import Temporary
made = [Temporary(Path(sys.argv[1]) / name, is_folder=name == "export") for name in sys.argv[2:]]
for one in made:
    if one.path.is_dir():
        (one.path / "model.onnx").write_bytes(b"half")
os.kill(os.getpid(), 9)
"""


def leave(folder: Path, *names: str) -> set[Path]:
    """Have a process killed while it writes these; return what it left."""
    before = set(folder.iterdir())
    subprocess.run([sys.executable, "-c", _KILLED, str(folder), *names], check=False)
    left = set(folder.iterdir()) - before
    assert len(left) == len(names)
    return left


@pytest.mark.parametrize("names", [["a.png"], ["a" * 240 + ".tif", "checkpoint.pt"], ["export", "x.mp4"]])
def test_what_a_killed_process_left_is_removed_by_the_next_write(tmp_path: Path, names: list[str]) -> None:
    leave(tmp_path, *names)
    write_atomically(tmp_path / "b.txt", b"")
    assert [path.name for path in tmp_path.iterdir()] == ["b.txt"]


def test_what_is_being_written_stays(tmp_path: Path) -> None:
    with Temporary(tmp_path / "a.png") as file, Temporary(tmp_path / "export", is_folder=True) as folder:
        remove_abandoned(tmp_path)
        assert file.is_file() and folder.is_dir()
        code = "import sys; from n2b.runtime.system.temporary import *; remove_abandoned(Path(sys.argv[1]))"
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
        assert file.is_file() and folder.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_files_of_others_stay(tmp_path: Path) -> None:
    (left,) = leave(tmp_path, "a.png")
    names = [".n2b-finished.jsonl", ".n2b-notes.part", ".a.png.part", left.name[1:]]
    for name in names:
        (tmp_path / name).touch()
    remove_abandoned(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_what_another_machine_writes_stays_until_it_is_a_day_old(tmp_path: Path) -> None:
    (left,) = leave(tmp_path, "a.png")
    other = left.rename(tmp_path / f".n2b-{'0' * 8}{left.name[13:]}")
    remove_abandoned(tmp_path)
    assert other.exists()
    os.utime(other, (0, 0))
    remove_abandoned(tmp_path)
    assert not other.exists()


def test_a_recording_that_a_killed_process_left_stays(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a.mp4", is_kept=True) as file:
        copy = tmp_path / f"{file.name.replace('.part', '2.part')}"
        copy.write_bytes(b"frames")  # as a process that was killed meanwhile would have left it
    write_atomically(tmp_path / "b.txt", b"")
    remove_abandoned(tmp_path)
    assert copy.read_bytes() == b"frames"


def test_a_link_of_such_a_name_is_not_followed(tmp_path: Path) -> None:
    (left,) = leave(tmp_path, "export")
    kept = tmp_path / "kept"
    left.rename(kept)
    left.symlink_to(kept, target_is_directory=True)
    remove_abandoned(tmp_path)
    assert (kept / "model.onnx").exists()


def test_without_locks_nothing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (left,) = leave(tmp_path, "a.png")
    monkeypatch.setitem(sys.modules, "fcntl", None)
    write_atomically(tmp_path / "b.png", b"whole")
    assert sorted(tmp_path.iterdir()) == sorted([left, tmp_path / "b.png"])


@pytest.mark.parametrize("is_locked_by_other", [True, False])
def test_one_taken_for_abandoned_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_locked_by_other: bool
) -> None:
    lock, removed = temporary.lock, []

    def lose(path: Path) -> int | None:
        if not removed:
            removed.append(path)
            if is_locked_by_other:
                raise BlockingIOError
            path.unlink()
        return lock(path)

    monkeypatch.setattr(temporary, "lock", lose)
    with Temporary(tmp_path / "a.png") as file:
        assert file.is_file() and file != removed[0]


def test_many_threads_and_cleaners_lose_nothing(tmp_path: Path) -> None:
    done = threading.Event()

    def clear() -> None:
        while not done.is_set():
            remove_abandoned(tmp_path)

    cleaner = threading.Thread(target=clear)
    cleaner.start()
    try:
        for number in range(100):
            write_atomically(tmp_path / f"{number}.txt", b"whole")
    finally:
        done.set()
        cleaner.join()
    assert len(list(tmp_path.iterdir())) == 100
