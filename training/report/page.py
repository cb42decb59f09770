"""The content of a training report, and its HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ...runtime.errors import escaped
from ..evaluation.comparison import BEST, CAMERA, INPUT, Conclusion
from ..evaluation.no_reference import NoReferenceQuality
from .charts import Chart
from .figures import Row
from .html import render
from .verdict import Verdict


@dataclass(frozen=True, eq=False)
class DrawnChart:
    """A chart with its images for a light and for a dark page, as PNG files."""

    chart: Chart
    light: bytes
    dark: bytes


@dataclass(frozen=True, eq=False)
class Section:
    """A heading, a caption, and rows of figures."""

    title: str
    caption: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class QualityRow:
    """The quality of one result, or of their median, by the name of its image."""

    name: str
    quality: NoReferenceQuality
    verdict: Verdict

    @property
    def cells(self) -> tuple[str, ...]:
        """Return the figures as text: noise before and after, detail lost, colour shift."""
        quality = self.quality
        cells = (
            f"{quality.sigma_before:.1f}",
            f"{quality.sigma_after:.1f}",
            "–" if quality.detail_loss is None else f"{round(100 * quality.detail_loss)} %",
            f"{max(quality.colour_shift, key=abs):+.1f}",
        )
        return tuple(cell.replace("-", "−") for cell in cells)


@dataclass(frozen=True)
class ComparedRow:
    """How one way to denoise compares with the run's result."""

    name: str
    cells: tuple[str, ...]  # dB against the run's result, removed energy over that of the noise


def compared(conclusion: Conclusion) -> list[ComparedRow]:
    """Return the rows of the comparison without a reference, the best first."""
    names = {
        BEST: f"this run, step {conclusion.best_step:,}",
        CAMERA: "bundled model 'camera'",
        INPUT: "noisy image",
    }
    scores = conclusion.scores
    rows = []
    for name in sorted(scores, key=lambda name: -scores[name]):
        removed = conclusion.removed.get(name)
        gap = f"{scores[name] - scores[BEST]:+.2f}".replace("-", "−")
        rows.append(ComparedRow(names[name], (gap, "–" if removed is None else f"{removed:.2f}")))
    return rows


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Return the file name of each image, or the whole name where others share it; printable."""
    short = [name.rsplit("/", 1)[-1] for name in names]
    return {
        name: escaped(part if short.count(part) == 1 else name)
        for name, part in zip(names, short, strict=True)
    }


@dataclass(frozen=True, eq=False)
class Noise:
    """The noise model of a run: its level, and figures."""

    chart: DrawnChart
    rows: Sequence[Row]
    structured: Sequence[str]  # lines on noise that training cannot remove


@dataclass(frozen=True, eq=False)
class Report:
    """Everything that the page shows; empty parts are omitted."""

    name: str  # of the run
    verdict: Verdict | None
    facts: dict[str, str]
    qualities: list[QualityRow]
    comparison: list[ComparedRow]
    judged: list[str]  # names of the images that it was made on
    noise: Noise | None
    samples: list[Section]
    validation: Section | None
    decay: Section | None
    charts: list[DrawnChart]
    config: dict[str, Any] = field(default_factory=dict)

    def to_html(self) -> str:
        """Return the page."""
        return render("training.html", report=self)
