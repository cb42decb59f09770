"""The cells of the grid, measured with an untrained network in place of the training."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from n2b.runtime.errors import EnvironmentFault

from benchmarks.own_camera import __main__ as command
from benchmarks.own_camera import grid


def _words(data: Path, tmp_path: Path, *more: str) -> list[str]:
    return ["--data", str(data), "--out", str(tmp_path / "out"), "--sets", "Sony,w2s", *more]


def test_each_cell_is_measured_once_and_kept(
    data: Path, tmp_path: Path, trained: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    words = _words(data, tmp_path, "--images", "1,all", "--minutes", "5", "--methods", "camera,n2b")
    assert command.main([*words, "--dry-run"]) == 0
    assert "6 cells" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
    assert command.main(words) == 0
    assert len(trained) == 4
    names = {path.name for path in (tmp_path / "out").glob("*.json")}
    assert names == {
        "Sony--camera.json", "Sony--n1--5min--n2b.json", "Sony--n3--5min--n2b.json",
        "w2s--camera.json", "w2s--n1--5min--n2b.json", "w2s--n2--5min--n2b.json",
    }  # fmt: skip
    cell = json.loads((tmp_path / "out" / "Sony--n1--5min--n2b.json").read_text())
    assert cell["cell"] == {"set": "Sony", "method": "n2b", "images": 1, "minutes": 5.0}
    assert cell["half"] == "report" and cell["images"] == 3 and len(cell["trained_on"]) == 1
    assert cell["cpu_share"] == 0.9 and cell["judgement"] is None
    assert cell["result_db_each"].keys() == {"Sony_0", "Sony_1"}
    trained.clear()
    assert command.main(words) == 0
    assert not trained


def test_the_training_is_the_default_one_on_one_core(
    data: Path, tmp_path: Path, trained: list[list[str]]
) -> None:
    words = _words(data, tmp_path, "--images", "all", "--minutes", "0.5", "--variant", "edge=--arch edge")
    assert command.main([*words, "--methods", "n2b,n2b-edge", "--cells", "Sony--*"]) == 0
    plain, edge = trained
    noisy = plain[plain.index("--noisy") + 1 : plain.index("--clean")]
    assert [Path(name).name for name in noisy] == ["Sony_0.png", "Sony_1.png", "Sony_2.png"]
    assert plain[plain.index("--clean") + 1 : plain.index("--out")] == [
        str(data / "clean"), "--minutes", "0.5", "--seed", "0", "--device", "cpu", "--keep-snapshots",
    ]  # fmt: skip
    assert edge[-2:] == ["--arch", "edge"]


def test_an_unfinished_run_is_resumed(data: Path, tmp_path: Path, trained: list[list[str]]) -> None:
    run = tmp_path / "out" / "runs" / "Sony--n1--5min--n2b"
    run.mkdir(parents=True)
    (run / "config.json").write_text("{}")
    words = _words(data, tmp_path, "--images", "1", "--minutes", "5", "--methods", "n2b", "--sets", "Sony")
    assert command.main(words) == 0
    assert trained[0][-3:] == ["--resume", "--out", str(run)]


def test_a_failed_training_is_reported_and_the_rest_goes_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise EnvironmentFault("no memory")

    monkeypatch.setattr(grid, "train", fail)
    monkeypatch.setattr(os, "sched_setaffinity", lambda *_: None, raising=False)
    words = _words(data, tmp_path, "--images", "all", "--minutes", "5", "--methods", "n2b,camera")
    assert command.main(words) == 1
    assert capsys.readouterr().out.count("failed: no memory") == 2
    assert len(list((tmp_path / "out").glob("*.json"))) == 2


def test_no_cell_begins_that_does_not_fit_the_time(
    data: Path, tmp_path: Path, trained: list[list[str]]
) -> None:
    words = _words(data, tmp_path, "--images", "all", "--minutes", "5,20", "--methods", "n2b")
    assert command.main([*words, "--sets", "Sony", "--stop-after", "10"]) == 0
    assert [path.stem for path in (tmp_path / "out").glob("*.json")] == ["Sony--n3--5min--n2b"]
    assert len(trained) == 1


@pytest.mark.usefixtures("trained")
def test_a_cell_that_another_process_measures_is_skipped(data: Path, tmp_path: Path) -> None:
    cell = grid.Cell("Sony", "n2b", 3, 5.0)
    with grid.claimed(cell, tmp_path / "out") as is_ours:
        assert is_ours
        words = _words(data, tmp_path, "--images", "all", "--minutes", "5", "--methods", "n2b")
        assert command.main(words) == 0
    assert [path.stem for path in (tmp_path / "out").glob("*.json")] == ["w2s--n2--5min--n2b"]


@pytest.mark.parametrize(
    "more",
    [["--sets", "Leica"], ["--images", "0"], ["--minutes", "long"], ["--methods", "n2v"], ["--variant", "x"]],
)
def test_options_that_make_no_sense_are_refused(data: Path, tmp_path: Path, more: list[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(_words(data, tmp_path, *more))
