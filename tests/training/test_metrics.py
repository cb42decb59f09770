"""Curves of runs that end, resume, crash."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from n2b.training.metrics import METRICS_NAME, MetricsLog, read_curves


def write(run: Path, values: Iterable[tuple[int, float]], *, first_step: int = 0) -> None:
    log = MetricsLog(run, first_step)
    for step, value in values:
        log.add(step, {"loss/n2b": value})


def test_every_point_is_kept_exactly(tmp_path: Path) -> None:
    write(tmp_path, [(step, step / 7) for step in range(0, 2000, 20)])
    curve = read_curves(tmp_path)["loss/n2b"]
    assert curve.steps.tolist() == list(range(0, 2000, 20))
    assert curve.values.tolist() == [step / 7 for step in range(0, 2000, 20)]


def test_a_resumed_run_replaces_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    write(tmp_path, [(20, 1), (40, 1), (60, 1), (80, 1)])
    write(tmp_path, [(60, 2), (100, 2)], first_step=40)
    curve = read_curves(tmp_path)["loss/n2b"]
    assert curve.steps.tolist() == [20, 40, 60, 100]
    assert curve.values.tolist() == [1, 1, 2, 2]


def test_a_run_started_again_replaces_all(tmp_path: Path) -> None:
    write(tmp_path, [(20, 1), (40, 1)])
    write(tmp_path, [(30, 2)])
    assert read_curves(tmp_path)["loss/n2b"].steps.tolist() == [30]


@pytest.mark.parametrize("cut_bytes", [2, 5, 20])
def test_a_line_cut_short_is_skipped_and_dropped_on_resumption(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, cut_bytes: int
) -> None:
    write(tmp_path, [(20, 1), (40, 2), (60, 3)])
    file = tmp_path / METRICS_NAME
    file.write_bytes(file.read_bytes()[:-cut_bytes])
    assert read_curves(tmp_path)["loss/n2b"].steps.tolist() == [20, 40]
    assert "damaged" in caplog.text
    write(tmp_path, [(60, 4)], first_step=40)
    assert read_curves(tmp_path)["loss/n2b"].values.tolist() == [1, 2, 4]


def test_lines_of_other_content_are_skipped(tmp_path: Path) -> None:
    write(tmp_path, [(20, 1)])
    with (tmp_path / METRICS_NAME).open("ab") as file:
        file.write(b'[]\n{}\n{"step": "x"}\n\xff\xfe\n3\n')
    write(tmp_path, [(60, 4)], first_step=40)
    assert read_curves(tmp_path)["loss/n2b"].steps.tolist() == [20, 60]


def test_values_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path)
    log.add(1, {"validation/psnr_db": float("inf"), "loss/n2c": float("nan")})
    log.add(2, {"validation/psnr_db": 30.0})
    assert "NaN" not in (tmp_path / METRICS_NAME).read_text()
    curves = read_curves(tmp_path)
    assert list(curves) == ["validation/psnr_db"]
    assert curves["validation/psnr_db"].steps.tolist() == [2]


def test_a_folder_without_the_file_has_no_curves(tmp_path: Path) -> None:
    assert read_curves(tmp_path) == {}
