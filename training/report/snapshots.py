"""What a run kept of one crop at each validation: how n̂ loses its detail while it learns."""

from __future__ import annotations

import logging
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .pictures import Picture, Row, on_grey, removed, scale_to_fit

_logger = logging.getLogger(__name__)

MOST_SHOWN = 6
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
    """The snapshots of a run by rising step; one that is damaged is left out, with a warning."""
    found: list[Snapshot] = []
    for path in (run / "snapshots").glob("step-*.npz"):
        name = _NAME.fullmatch(path.name)
        if name is None:
            continue
        try:
            found.append(_read(path, int(name[1])))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            _logger.warning(f"{path} is damaged and left out of the report ({error})")
    return sorted(found, key=lambda snapshot: snapshot.step)


def _read(path: Path, step: int) -> Snapshot:
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in _FIELDS if name in archive.files}
    shape = arrays["noisy"].shape
    if len(shape) != 3 or shape[2] != 3 or any(array.shape != shape for array in arrays.values()):
        raise ValueError("its images do not fit each other")
    for name in ("residual", "extracted"):
        if name in arrays:
            arrays[name] = np.nan_to_num(arrays[name].astype(np.float32))
    return Snapshot(step, **arrays)


def decay_rows(snapshots: Sequence[Snapshot]) -> tuple[list[Row], float]:
    """n̂ at several steps, and ñ under it, all equally strong; and how many times stronger than they are.

    Returns:
        No rows when no noise map was kept.
    """
    kept = [snapshot for snapshot in snapshots if snapshot.residual is not None]
    if not kept:
        return [], 1.0
    shown = [kept[index] for index in _spread(len(kept))]
    scale = scale_to_fit(np.asarray(shown[-1].residual))
    rows = []
    for title, name in (("n̂", "residual"), ("ñ", "extracted")):
        maps = [(snapshot.step, getattr(snapshot, name)) for snapshot in shown]
        pictures = [Picture(f"step {step:,}", on_grey(m, scale)) for step, m in maps if m is not None]
        if pictures:
            rows.append(Row(title, tuple(pictures)))
    return rows, scale


def _spread(count: int) -> list[int]:
    """At most six indices from the first to the last, denser at the start, where more happens."""
    places = np.geomspace(1, count, min(count, MOST_SHOWN))
    return sorted({round(float(place)) - 1 for place in places})


def result_row(snapshot: Snapshot) -> Row:
    """noisy | denoised | clean, when known | removed."""
    images = {"noisy": snapshot.noisy, "denoised": snapshot.denoised, "clean": snapshot.clean}
    pictures = [Picture(title, pixels) for title, pixels in images.items() if pixels is not None]
    return Row("", (*pictures, removed(snapshot.noisy, snapshot.denoised)))
