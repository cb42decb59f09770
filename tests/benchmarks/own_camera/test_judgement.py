"""The run's own judgement of its snapshots, against PSNR."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from benchmarks.own_camera.judgement import rank_correlation, spearman
from benchmarks.own_camera.networks import network_denoiser
from benchmarks.own_camera.sets import SETS, load_set

from .networks import save_untrained

SPECS = {spec.name: spec for spec in SETS}


def test_the_judgement_of_snapshots_is_compared_with_their_psnr(data: Path, tmp_path: Path) -> None:
    real = load_set(data, SPECS["Sony"])
    assert rank_correlation(tmp_path, real) is None
    for step, scale in ((100, 1.0), (200, 0.5), (300, 2.0)):
        save_untrained(tmp_path / "judged" / f"step-{step}.pt", seed=1, scale=scale)
    lines = [{"step": step, "score_db": 1.0} for step in (100, 200, 300, 400)]
    (tmp_path / "judgement.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    constant = rank_correlation(tmp_path, real)
    assert constant is not None and constant.rho is None and constant.snapshots == 3
    psnr_db = [_psnr_of(tmp_path / "judged" / f"step-{step}.pt", data) for step in (100, 200, 300)]
    lines = [{"step": step, "score_db": value} for step, value in zip((100, 200, 300), psnr_db, strict=True)]
    (tmp_path / "judgement.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    faithful = rank_correlation(tmp_path, real)
    assert faithful is not None and faithful.rho == 1
    assert faithful.chosen_db == faithful.best_db
    assert faithful.last_db == round(psnr_db[-1], 3)


def _psnr_of(checkpoint: Path, data: Path) -> float:
    real, denoise = load_set(data, SPECS["Sony"]), network_denoiser(checkpoint)
    return float(np.mean([real.score(denoise(pair.noisy), pair.clean) for pair in real.pairs()]))


def test_ranks_of_equal_values_are_shared() -> None:
    assert spearman(np.array([1, 2, 3, 4.0]), np.array([1, 3, 2, 4.0])) == 0.8
    assert spearman(np.array([1, 1, 2.0]), np.array([5, 5, 9.0])) == 1
    assert spearman(np.array([1, 1, 1.0]), np.array([1, 2, 3.0])) is None
