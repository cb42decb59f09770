"""Draw curves as PNG images, for a light and for a dark page."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...runtime.system.packages import require
from ..metrics import Curve

SIZE_INCHES = (4.8, 3.0)  # small, so that text is readable on a phone
DOTS_PER_INCH = 200
_MARGINS = {"left": 0.14, "right": 0.97, "bottom": 0.16, "top": 0.96}
_MAX_POINTS = 1500  # of a curve: more than the image has columns
_SMOOTHED_FROM = 100  # points
_MAX_DOTS = 40
_SMOOTHING = 0.02  # window of the moving average, as a share of the curve

# Okabe and Ito's colours, distinguishable with colour blindness
_LIGHT = {"page": "#ffffff", "ink": "#222222", "grid": "#dddddd",
          "series": ("#0072b2", "#d55e00", "#009e73", "#8a4f7d")}  # fmt: skip
_DARK = {"page": "#1b1d21", "ink": "#dddddd", "grid": "#3a3d44",
         "series": ("#56b4e9", "#f0a03c", "#2fc79a", "#cc79a7")}  # fmt: skip


@dataclass(frozen=True)
class Chart:
    """One chart: its curves, labels and reference lines."""

    name: str  # of the file, without suffix
    title: str  # heading on the page
    curves: dict[str, Curve]  # by name in the legend
    y_label: str  # quantity and unit of all of them
    caption: str  # what to look for, one or two sentences
    is_log: bool = False  # of the vertical axis
    marks: dict[str, float] | None = None  # steps with a vertical line, by its label
    levels: dict[str, float] | None = None  # values with a horizontal line, by its label
    x_label: str = "step"  # quantity of the horizontal axis

    def describe(self) -> str:
        """Return the chart in words, as alternative text."""
        x = self.x_label.split(",", maxsplit=1)[0]
        ends = "; ".join(
            f"{name} from {curve.values[0]:.3g} at {x} {curve.steps[0]:,} to {curve.values[-1]:.3g} at {x} "
            f"{curve.steps[-1]:,}"
            for name, curve in self.curves.items()
        )
        return f"{self.title} ({self.y_label}) against {x}: {ends}."


def draw(chart: Chart, *, dark: bool = False) -> bytes:
    """Return the chart as a PNG file of 960×600 px.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """
    require("matplotlib", extra="train")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    look: dict[str, Any] = _DARK if dark else _LIGHT
    figure = Figure(figsize=SIZE_INCHES, dpi=DOTS_PER_INCH, facecolor=look["page"])
    figure.subplots_adjust(**_MARGINS)
    axes = figure.add_subplot(facecolor=look["page"])
    breaks = sorted((chart.marks or {}).values())
    for index, (name, curve) in enumerate(chart.curves.items()):
        colour = look["series"][index % len(look["series"])]
        _draw_curve(axes, name, curve, colour, breaks=breaks, height=3 - index / 10)  # the first on top
    if chart.is_log and all((curve.values > 0).any() for curve in chart.curves.values()):
        axes.set_yscale("log")
        _label_log_axis(axes)
    _style(axes, look, chart)
    for text, level in (chart.levels or {}).items():
        axes.axhline(level, color=look["ink"], linewidth=0.8, linestyle=(0, (4, 3)))
        _write(axes, look, text, (1, level), ("axes fraction", "data"), ha="right", offset=(0, 2))
    for text, step in (chart.marks or {}).items():
        axes.axvline(step, color=look["ink"], linewidth=0.8, linestyle=":")
        _write(axes, look, text, (step, 1), ("data", "axes fraction"), va="top", offset=(3, -3))
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def _write(
    axes: Any,
    look: dict[str, Any],
    text: str,
    place: tuple[float, float],
    coordinates: tuple[str, str],
    *,
    offset: tuple[int, int],
    **alignment: str,
) -> None:
    """Write text next to a point of the axes, `offset` (points) away."""
    axes.annotate(
        text, place, xycoords=coordinates, xytext=offset, textcoords="offset points", fontsize=8,
        color=look["ink"], **alignment,
    )  # fmt: skip


def _draw_curve(
    axes: Any, name: str, curve: Curve, colour: str, *, breaks: list[float], height: float
) -> None:
    """Draw a line: with markers if it has few points; smoothed, over the faint original, if it has many."""
    points = _thinned(curve)
    line: dict[str, Any] = {"color": colour, "linewidth": 1.4, "label": name, "zorder": height}
    if len(points.steps) >= _SMOOTHED_FROM:
        axes.plot(points.steps, points.values, color=colour, linewidth=0.6, alpha=0.3)
        points = _thinned(_smoothed(curve, breaks))
    elif len(points.steps) <= _MAX_DOTS:
        line |= {"marker": "o", "markersize": 2.5}
    axes.plot(points.steps, points.values, **line)


def _thinned(curve: Curve) -> Curve:
    every = -(-len(curve.steps) // _MAX_POINTS)
    return Curve(curve.steps[::every], curve.values[::every])


def _smoothed(curve: Curve, breaks: list[float]) -> Curve:
    """Return the moving average over 2 % of the curve, separately between `breaks` (steps)."""
    radius = max(1, round(_SMOOTHING * len(curve.steps) / 2))
    pieces = [
        _means(values, radius)
        for values in np.split(curve.values, np.searchsorted(curve.steps, breaks, side="right"))
    ]
    return Curve(curve.steps, np.concatenate(pieces))


def _means(values: np.ndarray, radius: int) -> np.ndarray:
    sums = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    first, last = np.maximum(index - radius, 0), np.minimum(index + radius + 1, len(values))
    return (sums[last] - sums[first]) / (last - first)


def _label_log_axis(axes: Any) -> None:
    """Label a logarithmic axis with plain numbers, at least two."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _style(axes: Any, look: dict[str, Any], chart: Chart) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    axes.set_xlabel(chart.x_label, color=look["ink"], fontsize=9)
    axes.set_ylabel(chart.y_label, color=look["ink"], fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.tick_params(colors=look["ink"], labelsize=8.5, which="both")
    axes.grid(color=look["grid"], linewidth=0.5)
    axes.set_axisbelow(True)
    for name, side in axes.spines.items():
        side.set_visible(name in ("left", "bottom"))
        side.set_color(look["grid"])
    if len(chart.curves) > 1:
        axes.legend(fontsize=8.5, frameon=False, labelcolor=look["ink"])
