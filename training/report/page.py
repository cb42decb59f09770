"""The content of a training report, and its HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

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


@dataclass(frozen=True, eq=False)
class Report:
    """Everything that the page shows; empty parts are omitted."""

    name: str  # of the run
    verdict: Verdict | None
    facts: dict[str, str]
    qualities: list[QualityRow]
    samples: list[Section]
    validation: Section | None
    decay: Section | None
    charts: list[DrawnChart]
    config: dict[str, Any] = field(default_factory=dict)

    def to_html(self) -> str:
        """Return the page."""
        return render("training.html", report=self)
