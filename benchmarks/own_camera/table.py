"""The measured cells as Markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .goals import missed_goals
from .results import Result, ResultGrid, Row
from .sets import ALL

_EMPTY = "–"
_INTRODUCTION = (
    "Gain in mean PSNR over the noisy images, in dB, and in brackets that of the worst image. Settings are "
    "chosen on the sets of the half *choose*, results reported on those of *report*."
)


def to_markdown(results: Sequence[Result]) -> str:
    """Return the tables: all images, images not trained on, halves, judgement of snapshots, goals missed."""
    grid = ResultGrid(results)
    parts = [_INTRODUCTION, "## All images of a set", _gains(grid, lambda cell: list(cell.noisy_db))]
    parts += ["## Images that were not trained on", _gains(grid, _not_trained_on)]
    parts += ["## Means over the sets of a half", _halves(grid)]
    if judged := [result for result in results if result.judgement]:
        parts += ["## The run's own judgement of its snapshots", _judgement(judged)]
    missed = "\n".join(f"- {line}" for line in missed_goals(grid))
    parts += ["## Goals missed", missed or "None, among the cells measured so far."]
    if any(result.is_short for result in results):
        parts.append("\\* Other processes kept the training from most of its core: measure again.")
    return "\n\n".join(parts) + "\n"


def _not_trained_on(result: Result) -> list[str]:
    return [name for name in result.noisy_db if name not in result.trained_on]


def _gains(grid: ResultGrid, names_of: Callable[[Result], list[str]]) -> str:
    rows = []
    for row in grid.rows:
        shared = grid.any_of(row)
        if names := names_of(shared):
            noisy = np.mean([shared.noisy_db[name] for name in names])
            cells = [_gain(grid.at(row, column), names) for column in grid.columns]
            rows.append([row.spec.name, row.spec.half, _count(row, shared), f"{noisy:.2f}", *cells])
    header = ["set", "half", "trained on", "noisy dB", *(column.title for column in grid.columns)]
    return _markdown(header, rows)


def _gain(result: Result | None, names: Sequence[str]) -> str:
    if result is None:
        return _EMPTY
    gains = result.gains(names)
    return f"{np.mean(gains):+.2f} ({min(gains):+.2f}){'*' if result.is_short else ''}"


def _halves(grid: ResultGrid) -> str:
    rows = []
    labels = dict.fromkeys(_label(row, grid) for row in sorted(grid.rows, key=lambda row: row.images))
    for half in ("choose", "report"):
        for label in labels:
            members = [row for row in grid.rows if row.spec.half == half and _label(row, grid) == label]
            if members:
                cells = [
                    _mean([result for row in members if (result := grid.at(row, column))], len(members))
                    for column in grid.columns
                ]
                rows.append([half, label, str(len(members)), *cells])
    header = ["half", "trained on", "sets", *(column.title for column in grid.columns)]
    return _markdown(header, rows)


def _mean(results: Sequence[Result], sets: int) -> str:
    if not results:
        return _EMPTY
    mean = np.mean([result.mean_gain for result in results])
    worst = min(min(result.gains()) for result in results)
    return f"{mean:+.2f} ({worst:+.2f}){'' if len(results) == sets else f' of {len(results)}'}"


def _judgement(results: Sequence[Result]) -> str:
    rows = []
    for result in results:
        judged = result.judgement or {}
        rho = _EMPTY if judged["rho"] is None else f"{judged['rho']:.2f}"
        levels = [f"{judged[name]:.2f}" for name in ("chosen_db", "best_db", "last_db")]
        training = [str(result.images), f"{result.minutes:g}", f"`{result.method}`"]
        rows.append([result.spec.name, result.spec.half, *training, rho, str(judged["snapshots"]), *levels])
    header = ["set", "half", "images", "minutes", "method", "rank correlation", "snapshots"]
    return _markdown([*header, "chosen dB", "best dB", "last dB"], rows)


def _count(row: Row, shared: Result) -> str:
    if not row.images:
        return _EMPTY
    return f"all {row.images}" if row.images == shared.available else f"{row.images} of {shared.available}"


def _label(row: Row, grid: ResultGrid) -> str:
    if not row.images:
        return _EMPTY
    return ALL if row.images == grid.any_of(row).available else str(row.images)


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(header)} |", f"| {' | '.join('---' for _ in header)} |"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
