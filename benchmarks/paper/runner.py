"""Do what the tables need, one thing after the other, and write them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from n2b.runtime.errors import EnvironmentFault, N2BError
from n2b.runtime.images.image import Image, write_image
from n2b.runtime.system.files import write_atomically

from .experiments import SYNTHETIC, TEXT, Condition, LabelNoise, Table, Trained
from .figures import draw
from .images import Pair, test_pairs
from .measure import classical_denoiser, measure, measure_label, pairs_for, trained_denoiser
from .plan import Work, title_of
from .report import to_json, to_markdown
from .settings import Settings
from .store import Store
from .train import train

_SHOWN = (SYNTHETIC[0], SYNTHETIC[2], SYNTHETIC[4], TEXT)  # one of each kind of noise


def run(work: Sequence[Work], settings: Settings, store: Store) -> list[str]:
    """Train and measure what is not done yet.

    A failure is reported and left out, and tried again by the next command; the rest goes on.

    Returns:
        A line for everything that failed.
    """
    failed: list[str] = []
    to_do = [item for item in work if not item.done]
    pairs = PairsOf(settings)
    for number, item in enumerate(to_do, 1):
        name = f"{'train' if item.trains else 'measure'} {title_of(item.condition, item.system)}"
        started = time.monotonic()
        try:
            outcome = _train(item, settings, store) if item.trains else _measure(item, settings, store, pairs)
        except N2BError as error:
            failed.append(f"{name}: {error}")
            outcome = f"failed: {error}"
        print(f"[{number}/{len(to_do)}] {name}: {outcome}, {time.monotonic() - started:.0f} s", flush=True)
    return failed


class PairsOf:
    """The test crops of each condition, made once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: dict[Condition, list[Pair]] = {}

    def __call__(self, condition: Condition) -> list[Pair]:
        """Those of one condition."""
        if condition not in self._made:
            self._made[condition] = test_pairs(condition, self._settings)
        return self._made[condition]


def write(
    tables: Sequence[Table],
    settings: Settings,
    store: Store,
    provenance: dict[str, Any],
    failed: list[str],
    out: Path,
    docs: Path,
) -> None:
    """Write the results so far: paper.json and paper.md in `out`, paper.md with images in `docs`."""
    pairs = PairsOf(settings)
    real = [Condition(folder.name, camera=folder.name) for folder in settings.real]
    images = []
    for name, conditions in (("paper.jpg", _SHOWN), ("paper-real.jpg", real)):
        if draw(docs / "images" / name, tables, conditions, pairs, store):
            images.append(f"images/{name}")
    write_atomically(out / "paper.json", to_json(tables, store, settings, provenance, failed))
    for folder, shown in ((out, []), (docs, images)):
        text = to_markdown(tables, store, settings, provenance, failed, shown)
        write_atomically(folder / "paper.md", text.encode())
        print(f"written: {folder / 'paper.md'}")


def _train(item: Work, settings: Settings, store: Store) -> str:
    assert isinstance(item.system, Trained)
    run_folder = store.run_of(item.condition, item.system)
    started = time.monotonic()
    train(item.condition, item.system, settings, run_folder)
    store.finish(run_folder, time.monotonic() - started)
    return "trained"


def _measure(item: Work, settings: Settings, store: Store, pairs: PairsOf) -> str:
    condition, system = item.condition, item.system
    if isinstance(system, LabelNoise):
        share = measure_label(system, condition, pairs(condition))
        store.keep(condition, system, share)
        return f"{100 * share['share']:.1f} % of the noise left"
    if isinstance(system, Trained):
        run_folder = store.run_of(condition, system)
        if store.seconds_of(run_folder) is None:
            raise EnvironmentFault("it is not trained")
        denoise = trained_denoiser(run_folder, settings.device)
    else:
        denoise = classical_denoiser(system, condition)
    figures, first = measure(denoise, pairs_for(system, pairs(condition), settings.wnnm_images))
    write_image(store.image_of(condition, system), Image(first))
    store.keep(condition, system, figures)
    return f"{figures['psnr_db']:.2f} dB, SSIM {figures['ssim']:.3f}"
