"""Figures of a report: crops of images, what was removed from them, and contact sheets."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...runtime.images.convert import round_to_uint8
from ...runtime.system.opencv import load_opencv
from ...runtime.system.packages import require

CROP_PX = 128
_MAX_SCALE = 4.0  # amplification of what was removed
_FITTING = 0.99  # share of it that must not be clipped
_GRID_PX = 32  # candidate crops lie at multiples of this
_ROUGHNESS_PX = 3.0  # σ of the mean that roughness is measured against
_GREYS = (24, 231)  # mean grey levels between which little is clipped
_GAP_PX, _LABEL_PX = 8, 24  # of a contact sheet
_SHEET_SCALE = 2  # each pixel as 2×2


@dataclass(frozen=True, eq=False)
class Figure:
    """An image, uint8 (H, W, 3) RGB, and its caption."""

    title: str
    pixels: np.ndarray


@dataclass(frozen=True)
class Row:
    """Figures of one size, shown next to each other."""

    title: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Crop:
    """A square of an image; coordinates in pixels."""

    title: str
    top: int
    left: int
    side: int

    def of(self, image: np.ndarray) -> np.ndarray:
        """Return this part of an image (H, W, …), as a view."""
        return image[self.top : self.top + self.side, self.left : self.left + self.side]


def pick_crops(image: np.ndarray) -> list[Crop]:
    """Choose the flattest, most textured, darkest and brightest crop of an image; deterministic.

    Args:
        image: uint8 (H, W, 3) of any size; under 128 px a side, the crops are smaller.

    Returns:
        One to four crops; one that would mostly overlap an earlier one is omitted.
    """
    cv2 = load_opencv()
    side = min(CROP_PX, *image.shape[:2])
    grey = image.astype(np.float32).mean(axis=2)
    rough = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), _ROUGHNESS_PX))
    corners = [
        (top, left)
        for top in range(0, image.shape[0] - side + 1, _GRID_PX)
        for left in range(0, image.shape[1] - side + 1, _GRID_PX)
    ]
    brightness, roughness = (
        np.array([mean[top : top + side, left : left + side].mean() for top, left in corners])
        for mean in (grey, rough)
    )
    is_clipped = (brightness < _GREYS[0]) | (brightness > _GREYS[1])
    best = {
        "flattest": np.where(is_clipped, np.inf, roughness) if not is_clipped.all() else roughness,
        "most textured": -roughness,
        "darkest": brightness,
        "brightest": -brightness,
    }
    crops: list[Crop] = []
    for title, rank in best.items():
        top, left = corners[int(np.argmin(rank))]
        if all(max(abs(top - p.top), abs(left - p.left)) >= side / 2 for p in crops):
            crops.append(Crop(title, top, left, side))
    return crops


def residual_figure(noisy: np.ndarray, denoised: np.ndarray) -> Figure:
    """Show what was removed on middle grey, amplified up to 4×."""
    values = noisy.astype(np.float32) - denoised
    scale = scale_to_fit(values)
    return Figure(f"removed ×{scale:g}", on_grey(values, scale))


def scale_to_fit(values: np.ndarray) -> float:
    """Return 1, 2, 3 or 4: the amplification of signed grey levels at which few are clipped."""
    largest = float(np.quantile(np.abs(values), _FITTING))
    return float(np.clip(round(127 / max(largest, 1e-3)), 1, _MAX_SCALE))


def on_grey(values: np.ndarray, scale: float) -> np.ndarray:
    """Return signed grey levels (H, W, 3), scaled, with 0 as middle grey, clipped to uint8."""
    return round_to_uint8(128 + scale * values.astype(np.float32))


def encode_png(pixels: np.ndarray) -> bytes:
    """Return the bytes of a PNG file of uint8 (H, W, 3) RGB."""
    cv2 = load_opencv()
    _, encoded = cv2.imencode(".png", np.ascontiguousarray(pixels[:, :, ::-1]))
    return encoded.tobytes()


def data_uri(png: bytes) -> str:
    """Return a data: URI of a PNG file."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def contact_sheet(rows: Sequence[Row]) -> bytes:
    """Return rows of figures with their titles, enlarged 2×, as a PNG file on white.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """
    require("matplotlib", extra="train")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    placed, (height, width) = _arrange(rows)
    canvas_figure = Canvas(figsize=(width / 100, height / 100), dpi=100)
    for title, _, top, left in placed:
        canvas_figure.text(left / width, 1 - (top - 5) / height, title, fontsize=9, color="#222222")
    canvas = FigureCanvasAgg(canvas_figure)
    canvas.draw()
    drawn = np.array(canvas.buffer_rgba())[:, :, :3]
    for _, pixels, top, left in placed:
        drawn[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return encode_png(drawn)


def _arrange(rows: Sequence[Row]) -> tuple[list[tuple[str, np.ndarray, int, int]], tuple[int, int]]:
    """Return title, enlarged pixels, top and left of each figure; height and width of the sheet."""
    placed: list[tuple[str, np.ndarray, int, int]] = []
    top, width = 0, 0
    for row in rows:
        left, height = 0, 0
        top += _LABEL_PX
        for index, figure in enumerate(row.figures):
            pixels = figure.pixels.repeat(_SHEET_SCALE, axis=0).repeat(_SHEET_SCALE, axis=1)
            title = f"{row.title}: {figure.title}" if row.title and not index else figure.title
            placed.append((title, pixels, top, left))
            left += pixels.shape[1] + _GAP_PX
            height = max(height, pixels.shape[0])
        top, width = top + height + _GAP_PX, max(width, left - _GAP_PX)
    return placed, (top, width)
