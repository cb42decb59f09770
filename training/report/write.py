"""Write the report of a run: one HTML page with quality, crops, curves and configuration; figures as PNG."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...runtime.errors import ModelError
from ...runtime.images.convert import to_uint8
from ...runtime.passwords import without_passwords
from ...runtime.system.files import parse_json, write_atomically
from ..evaluation.comparison import Conclusion
from ..evaluation.no_reference import FLAT_PX, NoReferenceQuality, assess_quality, median_quality
from ..metrics import Curve, read_curves
from ..noise_model import NoiseModel
from .charts import Chart, draw
from .curves import has_only_initial_stage, run_charts
from .figures import Figure, Row, contact_sheet, pick_crops, residual_figure
from .noise_plots import covariance_row, level_chart, synthesised_row
from .page import DrawnChart, Noise, QualityRow, Report, Section, compared, short_names
from .snapshots import Snapshot, decay_rows, read_snapshots, result_row
from .verdict import POOR, Verdict, verdict_on, verdict_on_run

_logger = logging.getLogger(__name__)

FOLDER = "report"
PAGE = "index.html"
MAX_SHOWN = 4  # images whose crops are shown; all are assessed

_Pair = tuple[np.ndarray, np.ndarray]  # noisy and denoised, uint8 or uint16 (H, W, 3)


class WrittenReport(NamedTuple):
    """The page of a report, and its verdict; None if the data do not suffice for one."""

    page: Path
    verdict: Verdict | None


def write_report(
    run: Path,
    *,
    denoise: Callable[[np.ndarray], np.ndarray],
    noisy_samples: Mapping[str, np.ndarray],
    noise_model: NoiseModel | None = None,
    structured: Sequence[str] = (),
    conclusion: Conclusion | None = None,
) -> WrittenReport:
    """Write `run`/report/: a self-contained index.html, and its figures as PNG files.

    What the run lacks (metrics.jsonl, snapshots, a checkpoint, samples) is omitted.

    Args:
        run: folder of the run, with config.json, metrics.jsonl, snapshots/ and checkpoint.pt.
        denoise: the trained network, as a function from uint8 or uint16 (H, W, 3) to the same.
        noisy_samples: noisy images by name, as `denoise` takes them, denoised whole; 512 px a side are
            enough. They are measured at their depth, and shown in 8 bits.
        noise_model: of the noisy images, the first of them being the first sample.
        structured: lines on noise that a denoiser takes for detail, such as banding.
        conclusion: how the result compares with the bundled model and with the input.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
        MissingPackageError: matplotlib, Jinja2 or OpenCV is not installed.
    """
    pairs = {name: (noisy, denoise(noisy)) for name, noisy in noisy_samples.items()}
    curves, snapshots, config = read_curves(run), read_snapshots(run), _read_config(run)
    titles = short_names(list(pairs))
    qualities = {
        titles[name]: assess_quality(*pair)
        for name, pair in pairs.items()
        if min(pair[0].shape[:2]) >= FLAT_PX
    }
    overall = median_quality(list(qualities.values())) if qualities else None
    if overall and len(qualities) > 1:
        qualities["median"] = overall
    report = Report(
        name=run.resolve().name,
        verdict=_verdict(overall, curves, conclusion, structured),
        facts=_facts(run, config, curves, conclusion),
        qualities=[QualityRow(name, quality, verdict_on(quality)) for name, quality in qualities.items()],
        comparison=compared(conclusion) if conclusion else [],
        judged=list(short_names(conclusion.judged).values()) if conclusion else [],
        noise=_noise(noise_model, pairs, structured) if noise_model else None,
        samples=[_sample(titles[name], pair) for name, pair in islice(pairs.items(), MAX_SHOWN)],
        validation=_validation(snapshots),
        decay=_decay(snapshots),
        charts=_charts(curves),
        config=config,
    )
    folder = run / FOLDER
    for name, png in _figures(report).items():
        write_atomically(folder / f"{name}.png", png)
    page = folder / PAGE
    write_atomically(page, report.to_html().encode(errors="backslashreplace"))
    return WrittenReport(page, report.verdict)


def _read_config(run: Path) -> dict[str, Any]:
    """Return config.json unvalidated: a report also shows runs of other versions of n2b."""
    path = run / "config.json"
    try:
        config = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        _logger.warning(f"{path} cannot be read ({error}); the report does not show the configuration")
        return {}
    return without_passwords(config) if isinstance(config, dict) else {}


def _verdict(
    overall: NoReferenceQuality | None,
    curves: dict[str, Curve],
    conclusion: Conclusion | None,
    structured: Sequence[str],
) -> Verdict | None:
    if has_only_initial_stage(curves):
        return Verdict(
            POOR,
            "The run ended in its initial stage: the network has only learned the blurred labels.",
            "Train longer, or continue with n2b-train --resume.",
        )
    return verdict_on_run(verdict_on(overall) if overall else None, conclusion, structured)


def _facts(
    run: Path, config: dict[str, Any], curves: dict[str, Curve], conclusion: Conclusion | None
) -> dict[str, str]:
    """Return steps, time, device and data from the checkpoint, else from the curves and the configuration."""
    trained = _trained(run)
    steps = trained.get("steps", max((int(curve.steps[-1]) for curve in curves.values()), default=0))
    facts = {"method": str(trained.get("method", config.get("method", "n2b"))), "steps": f"{steps:,}"}
    if conclusion:
        facts["exported step"] = f"{conclusion.best_step:,}"
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


def _noise(model: NoiseModel, pairs: Mapping[str, _Pair], structured: Sequence[str]) -> Noise:
    rows = [covariance_row(model)]
    if pairs:
        noisy, denoised = map(to_uint8, next(iter(pairs.values())))
        flattest = pick_crops(noisy)[0]
        rows.append(synthesised_row(model, 0, noisy, denoised, flattest))
    return Noise(_drawn(level_chart(model)), rows, structured)


def _sample(title: str, pair: _Pair) -> Section:
    noisy, denoised = map(to_uint8, pair)
    rows = []
    for crop in pick_crops(noisy):
        x, f = crop.of(noisy), crop.of(denoised)
        figures = (Figure("noisy", x), Figure("denoised", f), residual_figure(x, f))
        rows.append(Row(crop.title, figures))
    return Section(title, "", rows)


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
        "Success: edges of the image fade from n̂ during the training, until n̂ and ñ look like noise "
        "alone. Edges that remain are detail that the result has lost.",
        rows,
    )


def _charts(curves: dict[str, Curve]) -> list[DrawnChart]:
    return [_drawn(chart) for chart in run_charts(curves)]


def _drawn(chart: Chart) -> DrawnChart:
    return DrawnChart(chart, draw(chart), draw(chart, dark=True))


def _figures(report: Report) -> dict[str, bytes]:
    """Return the PNG files next to the page, by name without suffix."""
    figures = {drawn.chart.name: drawn.light for drawn in report.charts}
    if report.noise:
        figures[report.noise.chart.chart.name] = report.noise.chart.light
        figures["noise"] = contact_sheet(report.noise.rows)
    if report.decay:
        figures["decay"] = contact_sheet(report.decay.rows)
    results = [
        Row(f"{sample.title}, {row.title}", row.figures) for sample in report.samples for row in sample.rows
    ]
    if report.validation:
        results += report.validation.rows
    if results:
        figures["results"] = contact_sheet(results)
    return figures
