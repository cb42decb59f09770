"""The tables as Markdown, and everything as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from .experiments import PAPER_PSNR_DB, WNNM, Cell, LabelNoise, Table, unique
from .settings import Settings
from .store import Store

_EMPTY = "–"
_PAPER = "paper"


def to_json(
    tables: Sequence[Table], store: Store, settings: Settings, provenance: dict[str, Any], failed: list[str]
) -> bytes:
    """Return all figures and their provenance as JSON."""
    content = {
        **provenance,
        "settings": _public(settings),
        "failed": failed,
        "tables": [_table_json(table, store) for table in tables],
    }
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def to_markdown(
    tables: Sequence[Table],
    store: Store,
    settings: Settings,
    provenance: dict[str, Any],
    failed: list[str],
    images: Sequence[str] = (),
) -> str:
    """The tables for people.

    Args:
        images: image files to show, relative to where the text will lie.
    """
    parts = [_introduction(settings, provenance)]
    parts += [_table_markdown(table, store) for table in tables]
    parts += [f"![noisy, denoised and clean crops side by side]({image})" for image in images]
    if failed:
        parts.append("Not measured, because it failed:\n\n" + "\n".join(f"- {line}" for line in failed))
    return "\n\n".join(parts) + "\n"


def _introduction(settings: Settings, provenance: dict[str, Any]) -> str:
    machine = ", ".join(str(value) for value in provenance["machine"].values() if value)
    versions = ", ".join(f"{name} {version}" for name, version in provenance["versions"].items())
    area = f"the middle {settings.crop_px}×{settings.crop_px} px of " if settings.crop_px else ""
    return (
        "# The paper's tables\n\n"
        "Results of this code in the setting of Noise2Blur (Lin et al., arXiv 1912.01158), written by\n\n"
        f"```sh\n{provenance['command']}\n```\n\n"
        f"on {provenance['date']}: {machine}; {versions}.\n\n"
        f"Figures are PSNR in dB / SSIM, means over {area}{settings.images} test images, of 8-bit results; "
        "every system sees the same noisy images. All networks "
        f"(`--arch {settings.arch}`) are trained for the same {settings.steps:,} steps of {settings.batch} "
        f"crops of {settings.patch_px}×{settings.patch_px} px, learning rate {settings.learning_rate:g}, "
        f"on {settings.noisy_images} noisy images and, "
        f"for N2B, {settings.clean_images} unrelated clean ones, unless a row says otherwise. "
        "The paper trains for 296,000 steps of 16 crops of 128×128 px and measures whole images: its "
        "figures, in the columns *paper*, show what a full training reaches. Only four of its figures are "
        "known here; the others are missing "
        f"(“{_EMPTY}”)."
    )


def _table_markdown(table: Table, store: Store) -> str:
    cells = {(cell.row, cell.column): cell for cell in table.cells}
    rows = unique([cell.row for cell in table.cells])
    columns = unique([cell.column for cell in table.cells])
    published = {column for name, _, column in PAPER_PSNR_DB if name == table.name}
    header = [""]
    for column in columns:
        header += [column, _PAPER] if column in published else [column]
    lines = [f"| {' | '.join(header)} |", f"| --- {'| ---: ' * (len(header) - 1)}|"]
    for row in rows:
        texts = [row]
        for column in columns:
            texts.append(_figure(cells.get((row, column)), store))
            if column in published:
                paper = PAPER_PSNR_DB.get((table.name, row, column))
                texts.append(_EMPTY if paper is None else f"{paper:.2f}")
        lines.append(f"| {' | '.join(texts)} |")
    notes = [table.note] if table.note else []
    notes += [note for cell in table.cells if (note := _partial_note(cell, table, store))]
    return "\n\n".join([f"## {table.title}", "\n".join(lines), *notes])


def _figure(cell: Cell | None, store: Store) -> str:
    result = store.result_of(cell.condition, cell.system) if cell else None
    if cell is None or result is None:
        return _EMPTY
    if isinstance(cell.system, LabelNoise):
        return f"{100 * result['share']:.0f} %"
    mark = "*" if cell.system == WNNM else ""
    return f"{result['psnr_db']:.2f} / {result['ssim']:.3f}{mark}"


def _partial_note(cell: Cell, table: Table, store: Store) -> str | None:
    """Compare the other methods on the few images that WNNM was measured on."""
    result = store.result_of(cell.condition, cell.system) if cell.system == WNNM else None
    if result is None:
        return None
    count = result["images"]
    others = []
    for other in table.cells:
        if other.column == cell.column and other.system != WNNM:
            figures = store.result_of(other.condition, other.system)
            if figures:
                mean = sum(figures["psnr_db_each"][:count]) / count
                others.append(f"{other.row} {mean:.2f}")
    return f"\\* {cell.column}: the first {count} images. On these: {'; '.join(others)} dB."


def _table_json(table: Table, store: Store) -> dict[str, Any]:
    cells = []
    for cell in table.cells:
        result = store.result_of(cell.condition, cell.system)
        cells.append(
            {
                "row": cell.row,
                "column": cell.column,
                "noise": cell.condition.noise,
                "camera": cell.condition.camera,
                "system": vars(cell.system) | {"kind": type(cell.system).__name__},
                "measured": result,
                "paper_psnr_db": PAPER_PSNR_DB.get((table.name, cell.row, cell.column)),
            }
        )
    return {"name": table.name, "title": table.title, "cells": cells}


def _public(settings: Settings) -> dict[str, Any]:
    """The settings without the machine's folders."""
    folders = ("data", "test", "real")
    return {name: value for name, value in vars(settings).items() if name not in folders}
