"""The run's own judgement of its snapshots, compared with their PSNR.

A run of `n2b-train --keep-snapshots` leaves two things in its folder:

judgement.jsonl          {"step": 1200, "score_db": 34.1} a line; the higher the better
judged/step-0001200.pt   the snapshot, a checkpoint
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..paper.images import spread_crops
from .networks import network_denoiser
from .sets import Pair, RealSet

JUDGEMENT = "judgement.jsonl"
SNAPSHOTS = "judged"

_CROPS, _CROP_PX = 8, 256  # of a set, in all
_FEWEST = 3  # snapshots; the ranks of two say nothing


@dataclass(frozen=True)
class RankCorrelation:
    """Agreement of a run's judgement with PSNR, over its snapshots.

    Attributes:
        rho: Spearman's rank correlation of PSNR and the score; None if either is constant.
        snapshots: number of them.
        chosen_db, best_db, last_db: mean PSNR of the snapshot with the best score, of the one with the
            highest PSNR, and of the last.
    """

    rho: float | None
    snapshots: int
    chosen_db: float
    best_db: float
    last_db: float

    def to_dict(self) -> dict[str, float | int | None]:
        """Return the values for JSON."""
        return asdict(self)


def rank_correlation(run: Path, real: RealSet) -> RankCorrelation | None:
    """Compare the judgement of a run's snapshots with their PSNR on crops of a set.

    Args:
        run: folder of a run of n2b-train.
        real: the set that it was trained on.

    Returns:
        None if the run has not judged at least three snapshots and kept them.
    """
    snapshots = judged_snapshots(run)
    if len(snapshots) < _FEWEST:
        return None
    pairs = list(_judging_crops(real))
    scores = np.array([score for score, _ in snapshots.values()])
    psnr_db = np.array([_mean_psnr(path, pairs, real) for _, path in snapshots.values()])
    return RankCorrelation(
        rho=spearman(psnr_db, scores),
        snapshots=len(snapshots),
        chosen_db=round(float(psnr_db[scores.argmax()]), 3),
        best_db=round(float(psnr_db.max()), 3),
        last_db=round(float(psnr_db[-1]), 3),
    )


def judged_snapshots(run: Path) -> dict[int, tuple[float, Path]]:
    """Return score and file of each snapshot that is judged and kept, by step in ascending order."""
    judgement = run / JUDGEMENT
    if not judgement.is_file():
        return {}
    lines = [json.loads(line) for line in judgement.read_text().splitlines() if line.strip()]
    scores = {int(line["step"]): float(line["score_db"]) for line in lines}
    files = {
        int(match[1]): path
        for path in (run / SNAPSHOTS).glob("step-*.pt")
        if (match := re.fullmatch(r"step-(\d+)\.pt", path.name))
    }
    return {step: (scores[step], files[step]) for step in sorted(scores.keys() & files.keys())}


def spearman(a: np.ndarray, b: np.ndarray) -> float | None:
    """Return the rank correlation of two series, ties at their mean rank; None if one is constant."""
    rank_a, rank_b = _ranks(a), _ranks(b)
    if rank_a.std() == 0 or rank_b.std() == 0:
        return None
    return round(float(np.corrcoef(rank_a, rank_b)[0, 1]), 4)


def _ranks(values: np.ndarray) -> np.ndarray:
    smaller = (values[None] < values[:, None]).sum(axis=1)
    equal = (values[None] == values[:, None]).sum(axis=1)
    return smaller + (equal - 1) / 2


def _judging_crops(real: RealSet) -> Iterator[Pair]:
    each = max(1, _CROPS // len(real))
    step = max(1, len(real) * each // _CROPS)
    for pair in list(real.pairs())[::step][:_CROPS]:
        crops = (spread_crops(image, each, _CROP_PX) for image in (pair.noisy, pair.clean))
        for noisy, clean in zip(*crops, strict=True):
            yield Pair(pair.name, noisy, clean)


def _mean_psnr(snapshot: Path, pairs: list[Pair], real: RealSet) -> float:
    denoise = network_denoiser(snapshot)
    return float(np.mean([real.score(denoise(pair.noisy), pair.clean) for pair in pairs]))
