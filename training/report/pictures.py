"""Pictures side by side: crops, what was removed from them, and sheets of them for a file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...runtime.errors import MissingPackageError
from ...runtime.opencv import load_opencv

CROP_PX = 128
REMOVED_SCALE = 4  # what was removed is shown this many times as strong
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


def removed(noisy: np.ndarray, denoised: np.ndarray) -> np.ndarray:
    """What was removed, four times as strong, on grey: uint8 (H, W, 3)."""
    return on_grey(noisy.astype(np.float32) - denoised, REMOVED_SCALE)


def on_grey(values: np.ndarray, scale: float) -> np.ndarray:
    """Signed grey levels (H, W, 3), scaled, with 0 as middle grey; as uint8, what does not fit cut off."""
    return np.rint(np.clip(128 + scale * values.astype(np.float32), 0, 255)).astype(np.uint8)


def encode_png(pixels: np.ndarray) -> bytes:
    """uint8 (H, W, 3) RGB as the bytes of a PNG file."""
    cv2 = load_opencv()
    _, encoded = cv2.imencode(".png", np.ascontiguousarray(pixels[:, :, ::-1]))
    return encoded.tobytes()


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
    canvas = np.full((height, width, 3), 255, np.uint8)
    figure = Figure(figsize=(width / 100, height / 100), dpi=100)
    FigureCanvasAgg(figure)
    for title, pixels, top, left in placed:
        canvas[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
        figure.text(left / width, 1 - (top - 5) / height, title, fontsize=9, color="#222222")
    figure.figimage(canvas, zorder=-1)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


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
