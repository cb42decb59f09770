"""The cells of the grid, each measured once and kept as one JSON file."""

from __future__ import annotations

import fcntl
import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import n2b
import numpy as np
from n2b.runtime.errors import N2BError, UserError
from n2b.runtime.system.files import write_atomically

from .judgement import rank_correlation
from .methods import (
    CAMERA,
    NOISE2VOID,
    UNTRAINED,
    NamedDenoise,
    Settings,
    Training,
    train,
    untrained_denoiser,
)
from .sets import RealSet, SetSpec, image_counts, load_set, training_images

_PX = {"polyu_full": 2784 * 1856}  # of an image, by folder; to estimate the time
_CROP_PX = 512 * 512
_BM3D_S_PER_PX, _NETWORK_S_PER_PX = 150e-6, 10e-6
_START_S = 60  # of a training, before and after the clock runs


@dataclass(frozen=True)
class Cell:
    """One measurement.

    Attributes:
        set: name of the set.
        method: name of the method.
        images: to train on; None for a method that is not trained.
        minutes: of training; None likewise.
    """

    set: str
    method: str
    images: int | None = None
    minutes: float | None = None

    @property
    def name(self) -> str:
        """Name of its file, without the suffix."""
        training = [] if self.images is None else [f"n{self.images}", f"{self.minutes:g}min"]
        return "--".join([self.set, *training, self.method])


@dataclass(frozen=True)
class Choice:
    """The part of the grid to measure; `cells` are glob patterns of names, none for all."""

    sets: tuple[SetSpec, ...]
    images: tuple[str, ...]
    minutes: tuple[float, ...]
    methods: tuple[str, ...]
    cells: tuple[str, ...] = ()


def cells(choice: Choice, data: Path) -> list[Cell]:
    """Return the cells, set by set, the fast ones first.

    Raises:
        UserError: a set is missing or damaged.
    """
    found: list[Cell] = []
    for spec in choice.sets:
        found += [Cell(spec.name, method) for method in choice.methods if method in UNTRAINED]
        counts = image_counts(choice.images, len(load_set(data, spec)))
        trained = [method for method in choice.methods if method not in UNTRAINED]
        found += [
            Cell(spec.name, method, count, minutes)
            for minutes in choice.minutes
            for count in counts
            for method in trained
        ]
    return [cell for cell in found if _matches(cell, choice.cells)]


def path_of(cell: Cell, out: Path) -> Path:
    """Return the file of a cell, which exists once it is measured."""
    return out / f"{cell.name}.json"


def estimated_seconds(cell: Cell, real: RealSet) -> float:
    """Estimate the time that a cell takes on one core."""
    px = len(real) * _PX.get(real.spec.folder, _CROP_PX)
    if cell.minutes is None:
        return px * (_NETWORK_S_PER_PX if cell.method == CAMERA else _BM3D_S_PER_PX)
    return 60 * cell.minutes + _START_S + px * _NETWORK_S_PER_PX


def run(
    to_do: Sequence[Cell], specs: Sequence[SetSpec], settings: Settings, stop_after_s: float
) -> list[str]:
    """Measure the cells that have no file, while the time suffices.

    A failure is reported and left out, and tried again by the next start; the rest goes on. Cells that
    another process measures at the moment are skipped.

    Args:
        stop_after_s: no cell begins that is not expected to end within these seconds.

    Returns:
        A line for each cell that failed.
    """
    started, failed = time.monotonic(), []
    by_name = {spec.name: spec for spec in specs}
    for number, cell in enumerate(to_do, 1):
        real = load_set(settings.data, by_name[cell.set])
        left_s = stop_after_s - (time.monotonic() - started)
        if path_of(cell, settings.out).exists() or estimated_seconds(cell, real) > left_s:
            continue
        with claimed(cell, settings.out) as is_ours:
            if not is_ours or path_of(cell, settings.out).exists():
                continue
            try:
                result = measure(cell, real, settings)
            except N2BError as error:
                failed.append(f"{cell.name}: {error}")
                print(f"[{number}/{len(to_do)}] {cell.name} failed: {error}", flush=True)
                continue
            content = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
            write_atomically(path_of(cell, settings.out), content.encode())
            print(f"[{number}/{len(to_do)}] {cell.name}: {_in_words(result)}", flush=True)
    return failed


def measure(cell: Cell, real: RealSet, settings: Settings) -> dict[str, Any]:
    """Train if the method does, denoise every image of the set, and return what the cell's file contains.

    Raises:
        N2BError: the training failed, or a package or an image is missing.
    """
    started = time.monotonic()
    denoise, facts = _denoiser(cell, real, settings)
    noisy_db, result_db = {}, {}
    for pair in real.pairs():
        noisy_db[pair.name] = round(real.score(pair.noisy, pair.clean), 4)
        result_db[pair.name] = round(real.score(denoise(pair.name, pair.noisy), pair.clean), 4)
    if not noisy_db:
        raise UserError(f"no image of {cell.set} has a reference of the same scene")
    return {
        "cell": asdict(cell),
        "half": real.spec.half,
        "images": len(real),
        **facts,
        **summary(noisy_db, result_db),
        "seconds": round(time.monotonic() - started, 1),
        "n2b": n2b.__version__,
        "commit": _commit(),
        "date": date.today().isoformat(),
        "noisy_db_each": noisy_db,
        "result_db_each": result_db,
    }


def summary(noisy_db: dict[str, float], result_db: dict[str, float]) -> dict[str, float]:
    """Return mean PSNR before and after, and the gain of the worst image."""
    gains = [result_db[name] - noisy_db[name] for name in noisy_db]
    return {
        "noisy_db": round(float(np.mean(list(noisy_db.values()))), 3),
        "result_db": round(float(np.mean(list(result_db.values()))), 3),
        "worst_gain_db": round(min(gains), 3),
    }


def _denoiser(cell: Cell, real: RealSet, settings: Settings) -> tuple[NamedDenoise, dict[str, Any]]:
    """Return the denoiser of a cell, trained if the method is, and the facts about its training."""
    if cell.images is None or cell.minutes is None:
        denoise = untrained_denoiser(cell.method)
        return lambda _, noisy: denoise(noisy), {}
    images = training_images(real, cell.images, settings.seed)
    run_folder = settings.out / "runs" / cell.name
    trained = train(cell.method, Training(real, images, cell.minutes, run_folder), settings)
    facts = {
        "trained_on": [files.name for files in images],
        "seed": settings.seed,
        "training_seconds": round(trained.usage.seconds, 1),
        "cpu_share": round(trained.usage.cpu_seconds / max(trained.usage.seconds, 1e-3), 3),
        **trained.facts,
    }
    if cell.method != NOISE2VOID:
        judged = rank_correlation(run_folder, real)
        facts["judgement"] = judged and judged.to_dict()
    return trained.denoise, facts


def _commit() -> str | None:
    """Return the commit of the code, or None outside of a clone."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _in_words(result: dict[str, Any]) -> str:
    levels = f"{result['noisy_db']:.2f} → {result['result_db']:.2f} dB"
    return f"{levels}, worst image {result['worst_gain_db']:+.2f} dB, {result['seconds']:.0f} s"


def _matches(cell: Cell, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatchcase(cell.name, pattern) for pattern in patterns)


@contextmanager
def claimed(cell: Cell, out: Path) -> Iterator[bool]:
    """Yield True if no other process measures the cell; the claim ends with this process, however it ends."""
    lock = out / "locks" / cell.name
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
