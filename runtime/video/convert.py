"""Convert frames between the colours of a video and RGB, by its matrix, range, depth and fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ImageError

RGB, BT709, UNSPECIFIED = 0, 1, 2  # colour matrices, ITU-T H.273 table 4
# By matrix, as FFmpeg's filter "scale" calls it; like FFmpeg, take ITU-R BT.601 for a video that names none.
_MATRICES = {
    RGB: "bt601", BT709: "bt709", UNSPECIFIED: "bt601", 3: "bt601", 4: "fcc", 5: "bt601", 6: "bt601",
    7: "smpte240m", 9: "bt2020",
}  # fmt: skip
_OTHER_MATRICES = {8: "YCgCo", 10: "BT.2020 constant luminance", 14: "ICtCp"}
_RANGES = {1: "tv", 2: "pc"}
# FFmpeg's default conversion to RGB rounds down, on average by a level. A sample of chroma is read for each
# of its pixels and written as their mean, so that what is not denoised stays as it was.
_EXACT = "flags={}+accurate_rnd+full_chroma_int+full_chroma_inp"

Filters = Sequence[tuple[str, str]]  # of libavfilter: names and arguments


def matrix_of(colorspace: int, source: str) -> str:
    """Return the name of the matrix between YUV and RGB that a tag of ITU-T H.273 stands for.

    Raises:
        ImageError: FFmpeg does not convert by it; `source` is the video's name for the message.
    """
    if colorspace not in _MATRICES:
        name = _OTHER_MATRICES.get(colorspace, f"matrix {colorspace}")
        raise ImageError(
            f"{source}: its colours are {name}, which is not read; convert them first: "
            "ffmpeg -i IN -vf zscale=matrix=709 OUT"
        )
    return _MATRICES[colorspace]


def is_rgb(frame: Any) -> bool:
    """Return True if a frame has no YUV samples."""
    return frame.format.is_rgb or frame.format.has_palette or frame.format.name.startswith("xyz")


def bits_of(frame: Any) -> int:
    """Return the bits per channel."""
    return max(component.bits for component in frame.format.components)


class FrameConverter:
    """Converts frames by filters of FFmpeg; these are set up again if the frames change."""

    def __init__(self, av: Any) -> None:
        self._av = av
        self._key: tuple[Any, ...] = ()
        self._graph: Any = None

    def convert(self, frame: Any, filters: Filters) -> Any:
        """Return the frame after the filters."""
        key = frame.width, frame.height, frame.format.name, tuple(filters)
        if key != self._key:
            self._graph, self._key = self._build(frame, filters), key
        self._graph.vpush(frame)
        return self._graph.vpull()

    def _build(self, frame: Any, filters: Filters) -> Any:
        graph = self._av.filter.Graph()
        node = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        )
        for name, arguments in [*filters, ("buffersink", "")]:
            following = graph.add(name, arguments) if arguments else graph.add(name)
            node.link_to(following)
            node = following
        graph.configure()
        return graph


class ToRGB(FrameConverter):
    """Converts decoded frames to RGB.

    Args:
        deep: give uint16 for more than 8 bits per channel.
    """

    def __init__(self, av: Any, *, deep: bool, source: str) -> None:
        super().__init__(av)
        self._deep, self._source = deep, source

    def __call__(self, frame: Any) -> tuple[np.ndarray, bool]:
        """Return (H, W, 3) RGB, uint8 or uint16, as it is stored; True if any of it is transparent."""
        has_alpha = any(component.is_alpha for component in frame.format.components)
        target = ("gbrap" if has_alpha else "gbrp") + ("16le" if self._deep and bits_of(frame) > 8 else "")
        scale = [_EXACT.format("neighbor"), *_colours_of(frame, self._source)]
        if frame.interlaced_frame:
            scale.append("interl=1")  # a line of chroma belongs to one field
        rgb = self.convert(frame, [("scale", ":".join(scale)), ("format", target)]).to_ndarray()
        if not has_alpha:
            return rgb, False
        opaque = np.iinfo(rgb.dtype).max
        return np.ascontiguousarray(rgb[:, :, :3]), bool((rgb[:, :, 3] < opaque).any())


class ToBGR8(FrameConverter):
    """Converts decoded frames to BGR of 8 bits: fast, and for that darker by up to a level."""

    def __init__(self, av: Any, source: str) -> None:
        super().__init__(av)
        self._source = source

    def __call__(self, frame: Any) -> np.ndarray:
        """Return (H, W, 3) uint8, as it is stored."""
        scale = ["flags=bilinear", *_colours_of(frame, self._source)]
        return self.convert(frame, [("scale", ":".join(scale)), ("format", "bgr24")]).to_ndarray()


def _colours_of(frame: Any, source: str) -> list[str]:
    """Return the options of FFmpeg's filter "scale" for the colours of its input."""
    if is_rgb(frame):
        return []
    matrix = f"in_color_matrix={matrix_of(frame.colorspace, source)}"
    return [matrix, f"in_range={_RANGES[frame.color_range]}"] if frame.color_range in _RANGES else [matrix]


class FromRGB(FrameConverter):
    """Converts RGB frames to what an encoder takes.

    Args:
        matrix: as `matrix_of` names it.
        is_top_first: order of the fields; None: progressive.
    """

    def __init__(self, av: Any, pix_fmt: str, matrix: str, is_top_first: bool | None) -> None:
        super().__init__(av)
        interlaced = "" if is_top_first is None else ":interl=1"
        fields = {None: "prog", True: "tff", False: "bff"}[is_top_first]
        self._filters = (
            ("setfield", fields),
            ("scale", f"{_EXACT.format('area')}:out_color_matrix={matrix}:out_range=tv{interlaced}"),
            ("format", pix_fmt),
        )

    def __call__(self, pixels: np.ndarray, time_base: Any) -> Any:
        """Return an av.VideoFrame without a time from (H, W, 3) uint8 or uint16."""
        name = "rgb24" if pixels.dtype == np.uint8 else "rgb48le"
        frame = self._av.VideoFrame.from_ndarray(pixels, format=name)
        frame.time_base = time_base
        return self.convert(frame, self._filters)


def is_top_field_first(av: Any, frame: Any) -> bool | None:
    """Return the order of a frame's fields; None: it is progressive."""
    if not frame.interlaced_frame:
        return None
    selection = FrameConverter(av)  # PyAV does not give the order, but this filter passes on frames by it
    try:
        selection.convert(frame, [("select", "eq(interlace_type\\,TOPFIRST)")])
    except (av.error.BlockingIOError, av.error.EOFError):
        return False
    return True
