"""The tables of the grid of one's own camera, and the goals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.own_camera.__main__ import main
from benchmarks.own_camera.goals import missed_goals
from benchmarks.own_camera.results import ResultGrid, read_results

NOISY_DB = {"a": 30.0, "b": 34.0, "c": 35.0}


def _keep(
    out: Path,
    method: str,
    gains: list[float],
    *,
    name: str = "Sony",
    images: int | None = None,
    minutes: float | None = None,
    **more: Any,
) -> None:
    cell = {"set": name, "method": method, "images": images, "minutes": minutes}
    results = {key: noisy + gain for (key, noisy), gain in zip(NOISY_DB.items(), gains, strict=True)}
    content = {
        "cell": cell,
        "half": "report",
        "images": 3,
        "noisy_db_each": NOISY_DB,
        "result_db_each": results,
    }
    if images:
        content |= {"trained_on": list(NOISY_DB)[:images], "cpu_share": 0.95}
    out.mkdir(exist_ok=True)
    number = len(list(out.iterdir()))
    (out / f"{name}--{number}--{method}.json").write_text(json.dumps(content | more))


def _goals(out: Path) -> list[str]:
    return missed_goals(ResultGrid(read_results(out)))


def test_a_table_shows_means_and_worst_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    _keep(out, "camera", [2, 2, 2])
    _keep(out, "n2b", [4, 3, 3.5], images=1, minutes=5)
    _keep(out, "n2v", [0, 1, -1], images=1, minutes=5, cpu_share=0.3)
    _keep(out, "n2b", [4, 4, 4], images=3, minutes=20)
    assert main(["table", str(out)]) == 0
    text = capsys.readouterr().out
    assert (
        "| set | half | trained on | noisy dB | `camera` | Noise2Void, 5 min | `n2b`, 5 min | `n2b`, 20 min |"
        in text
    )
    row = "| Sony | report | 1 of 3 | {} | +2.00 (+2.00) | {}* | {} | – |"
    assert row.format("33.00", "+0.00 (-1.00)", "+3.50 (+3.00)") in text
    assert row.format("34.50", "+0.00 (-1.00)", "+3.25 (+3.00)") in text  # b and c
    assert text.count("| Sony | report | all 3 |") == 1
    assert "| report | all | 1 | +2.00 (+2.00) | – | – | +4.00 (+4.00) |" in text
    assert "None, among the cells measured so far." in text
    assert "\\* Other processes" in text


def test_a_table_can_be_written_before_anything_is_trained(tmp_path: Path) -> None:
    out = tmp_path / "out"
    _keep(out, "bm3d", [1, 2, 3])
    _keep(out, "camera", [1, 1, 1], name="w2s", half="choose")
    assert main(["table", str(out), "--to", str(tmp_path / "table.md")]) == 0
    text = (tmp_path / "table.md").read_text()
    assert "| Sony | report | – | 33.00 | – | +2.00 (+1.00) |" in text
    assert "| w2s | choose | – | 33.00 | +1.00 (+1.00) | – |" in text


def test_an_empty_folder_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", str(tmp_path)]) == 2
    assert "holds no measured cell" in capsys.readouterr().err


def test_the_judgement_has_its_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    judgement = {"rho": 0.75, "snapshots": 9, "chosen_db": 35.0, "best_db": 35.25, "last_db": 34.0}
    _keep(tmp_path / "out", "n2b", [4, 4, 4], images=1, minutes=5, judgement=judgement)
    main(["table", str(tmp_path / "out")])
    text = capsys.readouterr().out
    assert "| Sony | report | 1 | 5 | `n2b` | 0.75 | 9 | 35.00 | 35.25 | 34.00 |" in text
    assert "rank correlation 0.75, not 0.8" in text


def test_goals_that_are_missed_are_listed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    _keep(out, "camera", [3, 3, 3])
    _keep(out, "bm3d", [2, 2, 2])
    _keep(out, "n2v", [1, 1, 1], images=3, minutes=5)
    _keep(out, "n2v", [9, 9, 9], images=3, minutes=20)  # not the same time
    _keep(out, "n2b", [4, 4, 4], images=3, minutes=5)
    assert _goals(out) == []
    _keep(out, "n2b", [3, 6, -0.6], images=3, minutes=10)
    who = "Sony, 3 of 3 images, 10 min, `n2b`"
    assert _goals(out) == [
        f"{who}: 1 of 3 images lose more than 0.1 dB (-0.60)",
        f"{who}: gain +2.80 dB, not +3.0",  # as 15 would, being all; the noisy images are below 34 dB
        f"{who}: 0.20 dB behind `camera`",
        f"{who}: +0.80 dB to BM3D, not +1.0",
        f"{who}: 1.20 dB worse than after 5 min",
    ]


def test_microscopes_need_no_lead(tmp_path: Path) -> None:
    out = tmp_path / "out"
    _keep(out, "bm3d", [1, 1, 1], name="w2s")
    _keep(out, "n2b", [1.1, 1.1, 1.1], name="w2s", images=1, minutes=5)
    assert _goals(out) == []
