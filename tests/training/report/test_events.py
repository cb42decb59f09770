"""Curves as TensorBoard's writer leaves them, by runs that end, resume, crash."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from n2b.training.report.events import read_curves
from torch.utils.tensorboard import SummaryWriter  # type: ignore[attr-defined]


def write(
    run: Path, values: Iterable[tuple[int, float]], *, first_step: int = 0, tag: str = "loss/n2b"
) -> Path:
    """What one process of a run writes; its event file."""
    before = set(run.glob("events.*"))
    writer = SummaryWriter(str(run), purge_step=first_step + 1 if first_step else None)
    for step, value in values:
        writer.add_scalar(tag, value, step)
    writer.close()
    (file,) = set(run.glob("events.*")) - before
    return file


def test_reads_every_point(tmp_path: Path) -> None:
    write(tmp_path, [(step, step / 7) for step in range(0, 40_000, 20)])
    curve = read_curves(tmp_path)["loss/n2b"]
    assert curve.steps.tolist() == list(range(0, 40_000, 20))
    assert curve.values == pytest.approx(np.arange(0, 40_000, 20) / 7, rel=1e-6)


def test_pictures_among_the_events_are_passed_over(tmp_path: Path) -> None:
    writer = SummaryWriter(str(tmp_path))
    writer.add_image("picture", np.zeros((8, 8, 3), np.uint8), 1, dataformats="HWC")
    writer.add_scalar("loss/n2b", 0.5, 2)
    writer.close()
    assert list(read_curves(tmp_path)) == ["loss/n2b"]


def test_a_resumed_run_replaces_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    write(tmp_path, [(20, 1), (40, 1), (60, 1), (80, 1)])
    write(tmp_path, [(60, 2), (100, 2)], first_step=40)
    curve = read_curves(tmp_path)["loss/n2b"]
    assert curve.steps.tolist() == [20, 40, 60, 100]
    assert curve.values.tolist() == [1, 1, 2, 2]


def test_a_run_started_again_from_nothing_replaces_all(tmp_path: Path) -> None:
    write(tmp_path, [(20, 1), (40, 1)])
    write(tmp_path, [(30, 2)])
    assert read_curves(tmp_path)["loss/n2b"].steps.tolist() == [30]


def test_sessions_count_in_the_order_of_time_not_of_names(tmp_path: Path) -> None:
    first = write(tmp_path, [(20, 1), (40, 1)])
    first.rename(first.with_name("events.out.tfevents.9999999999.renamed"))
    write(tmp_path, [(40, 2)], first_step=20)
    assert read_curves(tmp_path)["loss/n2b"].values.tolist() == [1, 2]


@pytest.mark.parametrize("cut_bytes", [1, 5, 20])
def test_a_file_cut_short_is_read_as_far_as_it_goes(tmp_path: Path, cut_bytes: int) -> None:
    file = write(tmp_path, [(20, 1), (40, 2), (60, 3)])
    file.write_bytes(file.read_bytes()[:-cut_bytes])
    assert read_curves(tmp_path)["loss/n2b"].steps.tolist() == [20, 40]


def test_a_damaged_record_ends_its_file_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, [(20, 1)])
    whole = file.read_bytes()
    file.write_bytes(whole + (9).to_bytes(8, "little") + bytes(4) + b"\xff" * 9 + bytes(4))
    assert read_curves(tmp_path)["loss/n2b"].steps.tolist() == [20]
    assert "damaged" in capsys.readouterr().err


def test_values_that_cannot_be_drawn_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, [(1, float("inf")), (2, 30.0)], tag="validation/psnr_db")
    write(tmp_path, [(1, float("nan"))], tag="loss/n2c", first_step=2)
    curves = read_curves(tmp_path)
    assert list(curves) == ["validation/psnr_db"]
    assert curves["validation/psnr_db"].steps.tolist() == [2]


def test_a_folder_without_events_has_no_curves(tmp_path: Path) -> None:
    assert read_curves(tmp_path) == {}
