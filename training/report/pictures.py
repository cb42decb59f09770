"""Pictures side by side: crops, what was removed from them, and sheets of them for a file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...runtime.errors import MissingPackageError
from ...runtime.system.opencv import load_opencv

CROP_PX = 128
_MOST_SCALE = 4.0  # what was removed is shown at most this many times as strong …
_FITTING = 0.99  # … and so that this share of it is not cut off
_GRID_PX = 32  # crops are sought at multiples of this
_ROUGHNESS_PX = 3.0  # σ of the mean that roughness is measured against
_GREYS = (24, 231)  # mean grey levels between which little is cut off
_GAP_PX, _LABEL_PX = 8, 24  # on a sheet
_SHEET_SCALE = 2  # a sheet shows each pixel as 2×2


@dataclass(frozen=True, eq=False)
class Picture:
    """uint8 (H, W, 3) RGB, with what stands under it."""

    title: str
    pixels: np.ndarray


@dataclass(frozen=True)
class Row:
    """Pictures of one size to be seen next to each other."""

    title: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Place:
    """A square of an image, in pixels."""

    title: str
    top: int
    left: int
    side: int

    def of(self, image: np.ndarray) -> np.ndarray:
        """This part of an image (H, W, …), as a view."""
        return image[self.top : self.top + self.side, self.left : self.left + self.side]


def pick_places(image: np.ndarray) -> list[Place]:
    """The flattest, most textured, darkest and brightest crop of an image, always the same ones.

    Args:
        image: uint8 (H, W, 3) of any size; in one with less than 128 px a side, the crops are smaller.

    Returns:
        One to four places; one that would lie mostly on an earlier one is left out.
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
    is_cut = (brightness < _GREYS[0]) | (brightness > _GREYS[1])
    best = {
        "flattest": np.where(is_cut, np.inf, roughness) if not is_cut.all() else roughness,
        "most textured": -roughness,
        "darkest": brightness,
        "brightest": -brightness,
    }
    places: list[Place] = []
    for title, rank in best.items():
        top, left = corners[int(np.argmin(rank))]
        if all(max(abs(top - p.top), abs(left - p.left)) >= side / 2 for p in places):
            places.append(Place(title, top, left, side))
    return places


def removed(noisy: np.ndarray, denoised: np.ndarray) -> Picture:
    """What was removed, on grey, up to four times as strong as it is."""
    values = noisy.astype(np.float32) - denoised
    scale = scale_to_fit(values)
    return Picture(f"removed ×{scale:g}", on_grey(values, scale))


def scale_to_fit(values: np.ndarray) -> float:
    """1, 2, 3 or 4: how many times as strong signed grey levels can be shown, with few cut off."""
    largest = float(np.quantile(np.abs(values), _FITTING))
    return float(np.clip(round(127 / max(largest, 1e-3)), 1, _MOST_SCALE))


def on_grey(values: np.ndarray, scale: float) -> np.ndarray:
    """Signed grey levels (H, W, 3), scaled, with 0 as middle grey; as uint8, what does not fit cut off."""
    return np.rint(np.clip(128 + scale * values.astype(np.float32), 0, 255)).astype(np.uint8)


def encode_png(pixels: np.ndarray) -> bytes:
    """uint8 (H, W, 3) RGB as the bytes of a PNG file."""
    cv2 = load_opencv()
    _, encoded = cv2.imencode(".png", np.ascontiguousarray(pixels[:, :, ::-1]))
    return encoded.tobytes()


def data_uri(png: bytes) -> str:
    """A PNG file as an address that holds it, for a page that needs no other file."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def sheet(rows: Sequence[Row]) -> bytes:
    """Rows of pictures with their titles, each pixel as 2×2, as a PNG file on white.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingPackageError("matplotlib", extra="train") from error
    placed, (height, width) = _arrange(rows)
    figure = Figure(figsize=(width / 100, height / 100), dpi=100)
    for title, _, top, left in placed:
        figure.text(left / width, 1 - (top - 5) / height, title, fontsize=9, color="#222222")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    drawn = np.array(canvas.buffer_rgba())[:, :, :3]
    for _, pixels, top, left in placed:
        drawn[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return encode_png(drawn)


def _arrange(rows: Sequence[Row]) -> tuple[list[tuple[str, np.ndarray, int, int]], tuple[int, int]]:
    """Title, enlarged pixels, top and left of each picture; height and width of all."""
    placed: list[tuple[str, np.ndarray, int, int]] = []
    top, width = 0, 0
    for row in rows:
        left, height = 0, 0
        top += _LABEL_PX
        for index, picture in enumerate(row.pictures):
            pixels = picture.pixels.repeat(_SHEET_SCALE, axis=0).repeat(_SHEET_SCALE, axis=1)
            title = f"{row.title}: {picture.title}" if row.title and not index else picture.title
            placed.append((title, pixels, top, left))
            left += pixels.shape[1] + _GAP_PX
            height = max(height, pixels.shape[0])
        top, width = top + height + _GAP_PX, max(width, left - _GAP_PX)
    return placed, (top, width)
