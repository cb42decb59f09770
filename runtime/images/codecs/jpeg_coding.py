"""Find out how a JPEG file was encoded, and whether all scans of it are there (ITU-T T.81)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from .header import FormatError, unpack
from .metadata import JpegCoding

_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}  # markers of such frames
_COEFFICIENTS = 64  # of a block

# Annex K.1, luminance, in zigzag order; libjpeg scales it by the quality.
_LUMA = (
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40,
    58, 51, 61, 60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103,
    104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
)  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """The frame of a file.

    Attributes:
        is_progressive: the scans refine each other.
        components: number → sampling across, sampling down, number of its quantisation table.
    """

    is_progressive: bool
    components: dict[int, tuple[int, int, int]]

    @classmethod
    def read(cls, marker: int, segment: memoryview) -> Frame:
        """Read the segment of a frame."""
        (count,) = unpack("B", segment, 5)  # after the depth, the height and the width
        components = {}
        for index in range(count):
            number, sampling, table = unpack("BBB", segment, 6 + 3 * index)
            components[number] = sampling >> 4, sampling & 15, table
        if len(components) < count:
            raise FormatError("is damaged: two of its components have the same number")
        return cls(marker in _PROGRESSIVE, components)


@dataclass
class Scans:
    """The scans of a file: component and coefficient → lowest bit that is stored."""

    lowest_bit: dict[tuple[int, int], int] = field(default_factory=dict)

    def add(self, segment: memoryview) -> None:
        """Take in the segment that starts a scan."""
        (count,) = unpack("B", segment, 0)
        first, last, bits = unpack("BBB", segment, 1 + 2 * count)
        for index in range(count):
            (component,) = unpack("B", segment, 1 + 2 * index)
            for coefficient in range(first, min(last, _COEFFICIENTS - 1) + 1):
                self.lowest_bit[component, coefficient] = bits & 15

    def are_missing(self, frame: Frame) -> bool:
        """Return True if a component is not stored, or of a progressive frame not to the last bit."""
        if not frame.is_progressive:
            return not set(frame.components) <= {component for component, _ in self.lowest_bit}
        return any(
            self.lowest_bit.get((component, coefficient), 1)
            for component in frame.components
            for coefficient in range(_COEFFICIENTS)
        )


def coding_of(frame: Frame, tables: dict[int, bytes]) -> JpegCoding | None:
    """Return the quality and chroma sampling of a file; None if its luma table is unknown."""
    across, down, table = next(iter(frame.components.values()))
    if table not in tables:
        return None
    chroma = list(frame.components.values())[1:]
    sampling = (1, 1)
    if chroma:
        most_across, most_down = (max(1, *(c[axis] for c in chroma)) for axis in (0, 1))
        sampling = max(1, across // most_across), max(1, down // most_down)
    return JpegCoding(_quality(tables[table]), sampling)


def _quality(table: bytes) -> int:
    """Return the quality whose table is the nearest."""

    def difference(quality: int) -> int:
        return sum(abs(ours - theirs) for ours, theirs in zip(_table(quality), table, strict=True))

    return min(range(100, 0, -1), key=difference)


@cache
def _table(quality: int) -> tuple[int, ...]:
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return tuple(min(max((value * scale + 50) // 100, 1), 255) for value in _LUMA)
