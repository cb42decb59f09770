"""Write the report of a run: what was measured, judged and seen, as one page and as pictures."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...runtime.errors import ModelError
from ...runtime.system.files import write_atomically
from ..evaluation.no_reference import FLAT_PX, Judgement, judge, median
from .charts import draw
from .curves import has_only_initial_stage, run_charts
from .events import Curve, read_curves
from .page import DrawnChart, Report, Section, render
from .pictures import Picture, Row, pick_places, removed, sheet
from .snapshots import Snapshot, decay_rows, read_snapshots, result_row
from .verdict import POOR, Verdict, verdict_on

_logger = logging.getLogger(__name__)

FOLDER = "report"
PAGE = "index.html"
MOST_SHOWN = 4  # images whose crops are shown; all are judged

_Pair = tuple[np.ndarray, np.ndarray]  # noisy and denoised, uint8 (H, W, 3)


class WrittenReport(NamedTuple):
    """A report's page, and its verdict where there is enough to judge by."""

    page: Path
    verdict: Verdict | None


def write_report(
    run: Path, *, denoise: Callable[[np.ndarray], np.ndarray], noisy_samples: Sequence[np.ndarray]
) -> WrittenReport:
    """Write `run`/report/: index.html, which shows all and needs no other file, and its figures as PNG.

    What the run does not have (event files, snapshots, a checkpoint, samples) is left out.

    Args:
        run: the run's folder, with config.json, TensorBoard's event files, snapshots/ and checkpoint.pt.
        denoise: the trained network as a function of a uint8 (H, W, 3) image that gives its like.
        noisy_samples: noisy images, uint8 (H, W, 3), denoised whole: some 512 px a side are enough.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
        MissingPackageError: matplotlib, tensorboard or OpenCV is not installed.
    """
    pairs = [(noisy, denoise(noisy)) for noisy in noisy_samples]
    curves, snapshots, config = read_curves(run), read_snapshots(run), _read_config(run)
    judgements = [(f"image {index}", judge(*pair)) for index, pair in enumerate(pairs, 1) if _is_judged(pair)]
    overall = median([judgement for _, judgement in judgements]) if judgements else None
    if overall and len(judgements) > 1:
        judgements.append(("median", overall))
    report = Report(
        name=run.resolve().name,
        verdict=_verdict(overall, curves),
        facts=_facts(run, config, curves),
        judgements=[(name, judgement, verdict_on(judgement)) for name, judgement in judgements],
        samples=[_sample(index, pair) for index, pair in enumerate(pairs[:MOST_SHOWN], 1)],
        validation=_validation(snapshots),
        decay=_decay(snapshots),
        charts=_charts(curves),
        config=config,
    )
    folder = run / FOLDER
    for name, png in _figures(report).items():
        write_atomically(folder / f"{name}.png", png)
    page = folder / PAGE
    write_atomically(page, render(report).encode())
    return WrittenReport(page, report.verdict)


def _read_config(run: Path) -> dict[str, Any]:
    """config.json as it stands: a report shows also what another version of n2b wrote."""
    path = run / "config.json"
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        _logger.warning(f"{path} cannot be read ({error}); the report does not show the configuration")
        return {}
    return config if isinstance(config, dict) else {}


def _is_judged(pair: _Pair) -> bool:
    return min(pair[0].shape[:2]) >= FLAT_PX


def _verdict(overall: Judgement | None, curves: dict[str, Curve]) -> Verdict | None:
    if has_only_initial_stage(curves):
        return Verdict(
            POOR,
            "The run ended in its initial stage: the network has only learnt the blurred labels.",
            "Train longer, or go on with n2b-train --resume.",
        )
    return verdict_on(overall) if overall else None


def _facts(run: Path, config: dict[str, Any], curves: dict[str, Curve]) -> dict[str, str]:
    """Steps, time, device and data, as the checkpoint has them, else the last step of the curves."""
    trained = _trained(run)
    steps = trained.get("steps", max((int(curve.steps[-1]) for curve in curves.values()), default=0))
    facts = {"method": str(trained.get("method", config.get("method", "n2b"))), "steps": f"{steps:,}"}
    if isinstance(hours := trained.get("hours"), int | float):
        facts["time"] = _duration(float(hours))
    names = {"device": "device", "noise": "noise", "filter": "label filter", "noisy_images": "noisy images",
             "clean_images": "clean photographs"}  # fmt: skip
    facts |= {title: str(trained[name]) for name, title in names.items() if name in trained}
    if "validation/psnr_db" in curves:
        facts["PSNR at the end"] = f"{curves['validation/psnr_db'].values[-1]:.2f} dB"
    return facts


def _trained(run: Path) -> dict[str, Any]:
    from ..checkpoint import CHECKPOINT_NAME, load_checkpoint

    try:
        trained = load_checkpoint(run / CHECKPOINT_NAME).get("trained")
    except ModelError:
        return {}
    return trained if isinstance(trained, dict) else {}


def _duration(hours: float) -> str:
    minutes = 60 * hours
    if minutes < 10:
        return f"{minutes:.1f} min"
    return f"{minutes:.0f} min" if minutes < 120 else f"{hours:.1f} h"


def _sample(index: int, pair: _Pair) -> Section:
    noisy, denoised = pair
    rows = []
    for place in pick_places(noisy):
        x, f = place.of(noisy), place.of(denoised)
        rows.append(Row(place.title, (Picture("noisy", x), Picture("denoised", f), removed(x, f))))
    return Section(f"Image {index}", "", rows)


def _validation(snapshots: list[Snapshot]) -> Section | None:
    if not snapshots:
        return None
    return Section(
        "Validation crop at the end",
        f"After step {snapshots[-1].step:,}. What was removed should look like noise alone.",
        [result_row(snapshots[-1])],
    )


def _decay(snapshots: list[Snapshot]) -> Section | None:
    rows, scale = decay_rows(snapshots)
    if not rows:
        return None
    return Section(
        "Decay of detail",
        f"What the network removes, n̂ = x − DnNet(x), and the noise map ñ = NENet(n̂), on grey, ×{scale:g}. "
        "Success: outlines of the picture fade from n̂ as the training goes on, until n̂ and "
        "ñ look like noise alone. Outlines that stay are detail that the result has lost.",
        rows,
    )


def _charts(curves: dict[str, Curve]) -> list[DrawnChart]:
    return [DrawnChart(chart, draw(chart), draw(chart, dark=True)) for chart in run_charts(curves)]


def _figures(report: Report) -> dict[str, bytes]:
    """The PNG files beside the page, by name without suffix."""
    figures = {drawn.chart.name: drawn.light for drawn in report.charts}
    if report.decay:
        figures["decay"] = sheet(report.decay.rows)
    results = [
        Row(f"{sample.title}, {row.title}", row.pictures) for sample in report.samples for row in sample.rows
    ]
    if report.validation:
        results += report.validation.rows
    if results:
        figures["results"] = sheet(results)
    return figures
