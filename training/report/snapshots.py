"""Snapshots of one crop at each validation: how detail fades from n̂ during the training."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...runtime.errors import shorten
from .figures import Figure, Row, on_grey, residual_figure, scale_to_fit

_logger = logging.getLogger(__name__)

MAX_SHOWN = 6
_NAME = re.compile(r"step-(\d+)\.npz")
_FIELDS = ("noisy", "denoised", "clean", "residual", "extracted")


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One crop at one step; images uint8 (H, W, 3), noise maps float32 (H, W, 3) in grey levels."""

    step: int
    noisy: np.ndarray
    denoised: np.ndarray
    clean: np.ndarray | None = None
    residual: np.ndarray | None = None  # n̂ = x − DnNet(x)
    extracted: np.ndarray | None = None  # ñ = NENet(n̂)


def read_snapshots(run: Path) -> list[Snapshot]:
    """Return the snapshots of a run in order of their steps; damaged ones are omitted, with a warning."""
    snapshots: list[Snapshot] = []
    for path in (run / "snapshots").glob("step-*.npz"):
        name = _NAME.fullmatch(path.name)
        if name is None:
            continue
        try:
            snapshots.append(_read(path, int(name[1])))
        except Exception as error:  # a damaged archive raises zlib.error, NotImplementedError and others
            _logger.warning(f"{path} is damaged; the report omits it ({shorten(error)})")
    return sorted(snapshots, key=lambda snapshot: snapshot.step)


def _read(path: Path, step: int) -> Snapshot:
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in _FIELDS if name in archive.files}
    shape = arrays["noisy"].shape
    if len(shape) != 3 or shape[2] != 3 or any(array.shape != shape for array in arrays.values()):
        raise ValueError("its images differ in shape")
    for name in ("residual", "extracted"):
        if name in arrays:
            arrays[name] = np.nan_to_num(arrays[name].astype(np.float32))
    return Snapshot(step, **arrays)


def decay_rows(snapshots: Sequence[Snapshot]) -> tuple[list[Row], float]:
    """Return a row of n̂ at several steps, one of ñ, and their common amplification; no rows without n̂."""
    kept = [snapshot for snapshot in snapshots if snapshot.residual is not None]
    if not kept:
        return [], 1.0
    shown = [kept[index] for index in _spread(len(kept))]
    scale = scale_to_fit(np.asarray(shown[-1].residual))
    rows = []
    for title, name in (("n̂", "residual"), ("ñ", "extracted")):
        maps = [(snapshot.step, getattr(snapshot, name)) for snapshot in shown]
        figures = [Figure(f"step {step:,}", on_grey(m, scale)) for step, m in maps if m is not None]
        if figures:
            rows.append(Row(title, tuple(figures)))
    return rows, scale


def _spread(count: int) -> list[int]:
    """Return at most six indices from first to last, denser at the start, where more happens."""
    places = np.geomspace(1, count, min(count, MAX_SHOWN))
    return sorted({round(float(place)) - 1 for place in places})


def result_row(snapshot: Snapshot) -> Row:
    """Return noisy | denoised | clean (if known) | removed."""
    images = {"noisy": snapshot.noisy, "denoised": snapshot.denoised, "clean": snapshot.clean}
    figures = [Figure(title, pixels) for title, pixels in images.items() if pixels is not None]
    return Row("", (*figures, residual_figure(snapshot.noisy, snapshot.denoised)))
