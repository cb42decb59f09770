"""The page of a report: one HTML file that needs nothing else, no script and no network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from ..evaluation.no_reference import Judgement
from .charts import Chart
from .pictures import Row, data_uri, encode_png
from .template import PAGE, STYLE
from .verdict import FAIR, GOOD, POOR, Verdict

_MARKS = {GOOD: "✓", FAIR: "~", POOR: "✗"}
_MOST_LISTED = 5  # of a list in the configuration


@dataclass(frozen=True, eq=False)
class DrawnChart:
    """A chart with its pictures for a light and for a dark page, as PNG files."""

    chart: Chart
    light: bytes
    dark: bytes


@dataclass(frozen=True, eq=False)
class Section:
    """A heading, a caption, and rows of pictures."""

    title: str
    caption: str
    rows: Sequence[Row]


@dataclass(frozen=True, eq=False)
class Report:
    """All that the page shows; what is empty is left out."""

    name: str  # of the run
    verdict: Verdict | None
    facts: dict[str, str]
    judgements: list[tuple[str, Judgement, Verdict]]  # by the image's name
    samples: list[Section]
    validation: Section | None
    decay: Section | None
    charts: list[DrawnChart]
    config: dict[str, Any] = field(default_factory=dict)


def render(report: Report) -> str:
    """The page as HTML."""
    parts = [
        f"<h1>Report of the run <span class=name>{escape(report.name)}</span></h1>",
        _banner(report.verdict),
        _facts(report.facts),
        _judgements(report.judgements),
        _samples(report.samples),
        _section(report.validation),
        _charts(report.charts),
        _section(report.decay),
        _config(report.config),
    ]
    title = escape(f"n2b report: {report.name}")
    return PAGE.format(title=title, style=STYLE, body="\n".join(part for part in parts if part))


def _banner(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    text = re.sub(r"--\w+", r"<code>\g<0></code>", escape(verdict.advice))
    advice = f" <span>{text}</span>" if text else ""
    words = f"{_MARKS[verdict.level]} {escape(verdict.words)}"
    return f'<p class="banner {verdict.level}"><b>{words}</b>{advice}</p>'


def _facts(facts: dict[str, str]) -> str:
    if not facts:
        return ""
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts.items()
    )
    return f"<dl class=facts>{items}</dl>"


def _judgements(judgements: list[tuple[str, Judgement, Verdict]]) -> str:
    if not judgements:
        return ""
    rows = "".join(_judgement_row(*judgement) for judgement in judgements)
    return f"""<section><h2>Your noisy images, judged without a clean original</h2>
<div class=scroll tabindex=0 role=region aria-label="Judgement of each image"><table class=judged>
<thead><tr><th scope=col>image<th scope=col class=n>noise σ before<th scope=col class=n>after
<th scope=col class=n>detail lost<th scope=col class=n>colour shift<th scope=col>verdict</tr></thead>
<tbody>{rows}</tbody></table></div>
<p class=caption>Noise: RMS in the flattest blocks of 16 px, in grey levels of 255. Detail lost: how much of
the sharpness of outlines is in what was removed; 0&nbsp;% is ideal, over 30&nbsp;% is too much. Colour
shift: mean change of the channel that changes most, in grey levels.</p></section>"""


def _judgement_row(name: str, judgement: Judgement, verdict: Verdict) -> str:
    shift = max(judgement.colour_shift, key=abs)
    cells = (
        f"{judgement.sigma_before:.1f}",
        f"{judgement.sigma_after:.1f}",
        "–" if judgement.detail_loss is None else f"{round(100 * judgement.detail_loss)} %",
        f"{shift:+.1f}",
    )
    numbers = "".join(f"<td class=n>{cell.replace('-', '−')}</td>" for cell in cells)
    return (
        f'<tr><th scope=row>{escape(name)}</th>{numbers}<td class="verdict {verdict.level}">'
        f"{_MARKS[verdict.level]} {escape(verdict.words)}</td></tr>"
    )


def _samples(samples: list[Section]) -> str:
    if not samples:
        return ""
    folded = "".join(
        f"<details{' open' if sample is samples[0] else ''}><summary>{escape(sample.title)}</summary>"
        f"{_rows(sample)}</details>"
        for sample in samples
    )
    return (
        "<section><h2>Crops of your noisy images</h2><p class=caption>Look for noise left in the "
        "flattest crop, and for lost detail in the most textured one. What was removed should look like "
        f"noise, with no outlines of the picture.</p>{folded}</section>"
    )


def _section(section: Section | None) -> str:
    if section is None or not section.rows:
        return ""
    return (
        f"<section><h2>{escape(section.title)}</h2><p class=caption>{escape(section.caption)}</p>"
        f"{_rows(section)}</section>"
    )


def _rows(section: Section) -> str:
    return "".join(_row(section.title, row) for row in section.rows)


def _row(section_title: str, row: Row) -> str:
    heading = f"<h3>{escape(row.title)}</h3>" if row.title else ""
    about = ", ".join(part for part in (section_title, row.title) if part)
    figures = "".join(
        f"<figure>{_image(encode_png(p.pixels), f'{about}: {p.title}', p.pixels.shape, 'crop')}"
        f"<figcaption>{escape(p.title)}</figcaption></figure>"
        for p in row.pictures
    )
    count = len(row.pictures)
    columns = f"--desk:{count};--phone:{2 if count == 4 else min(count, 3)}"
    return f'{heading}<div class=row style="{columns}">{figures}</div>'


def _image(png: bytes, alt: str, shape: tuple[int, ...], kind: str) -> str:
    height, width = shape[:2]
    return f'<img class={kind} alt="{escape(alt)}" width={width} height={height} src="{data_uri(png)}">'


def _charts(charts: list[DrawnChart]) -> str:
    if not charts:
        return ""
    figures = "".join(
        f"<figure class=chart><h3>{escape(drawn.chart.title)}</h3><picture>"
        f'<source media="(prefers-color-scheme: dark)" srcset="{data_uri(drawn.dark)}">'
        f'<img alt="{escape(_describe(drawn.chart))}" src="{data_uri(drawn.light)}" width=960 height=600>'
        "</picture>"
        f"<figcaption>{escape(drawn.chart.caption)}</figcaption></figure>"
        for drawn in charts
    )
    return f"<section><h2>Over the training</h2><div class=charts>{figures}</div></section>"


def _describe(chart: Chart) -> str:
    """The chart in words, for those who cannot see it."""
    ends = "; ".join(
        f"{name} from {curve.values[0]:.3g} at step {curve.steps[0]:,} to {curve.values[-1]:.3g} at step "
        f"{curve.steps[-1]:,}"
        for name, curve in chart.curves.items()
    )
    return f"{chart.title} ({chart.y_label}) against step: {ends}."


def _config(config: dict[str, Any]) -> str:
    if not config:
        return ""
    rows = "".join(
        f"<tr><th scope=row>{escape(name)}</th><td>{escape(_value(value))}</td></tr>"
        for name, value in config.items()
    )
    return (
        "<section><h2>Configuration</h2><div class=scroll tabindex=0 role=region aria-label=Configuration>"
        f"<table class=config><tbody>{rows}</tbody></table></div></section>"
    )


def _value(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        more = f" … and {len(value) - _MOST_LISTED} more" if len(value) > _MOST_LISTED else ""
        return (", ".join(map(str, value[:_MOST_LISTED])) or "–") + more
    return str(value)
