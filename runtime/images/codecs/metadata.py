"""Describe what an image file contains besides pixels, colour profile and EXIF block, to be kept."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .exif import Directory, Order

_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation\s*(?:=\s*[\"']|>))[2-8](?=[\"'<])")


@dataclass(frozen=True)
class Density:
    """Pixels per inch or per cm, across and down; without a unit their ratio is that of a pixel's sides."""

    across: float
    down: float
    unit: Literal["inch", "cm", ""]

    def per_cm(self) -> Density:
        """Return it per cm, unless it has no unit."""
        return Density(self.across / 2.54, self.down / 2.54, "cm") if self.unit == "inch" else self


@dataclass(frozen=True)
class JpegCoding:
    """How a JPEG file was encoded.

    Attributes:
        quality: of libjpeg, 1..100; the one whose tables are the nearest.
        sampling: (across, down) pixels for one of chroma; (1, 1): as many as of luma.
    """

    quality: int
    sampling: tuple[int, int]


@dataclass(frozen=True)
class Metadata:
    """Metadata of a file, each unchanged.

    Attributes:
        xmp: XMP packet, of any format.
        density: of PNG and JPEG; TIFF's is in the EXIF block.
        png_chunks: kind and content of PNG chunks for colours (such as gAMA) and text.
        jpeg_segments: marker and content of JPEG segments: comments, IPTC, the rest of a long XMP packet.
        jpeg: how a JPEG file was encoded.
        tiff_tags: names, IPTC and georeference of a TIFF file, in the byte order `tiff_order`.
    """

    xmp: bytes | None = None
    density: Density | None = None
    png_chunks: tuple[tuple[bytes, bytes], ...] = ()
    jpeg_segments: tuple[tuple[int, bytes], ...] = ()
    jpeg: JpegCoding | None = None
    tiff_tags: Directory = field(default_factory=dict)
    tiff_order: Order = "<"

    def upright(self) -> Metadata:
        """Return the metadata of an image that has been turned upright."""
        xmp = None if self.xmp is None else _XMP_ORIENTATION.sub(rb"\g<1>1", self.xmp)
        return dataclasses.replace(self, xmp=xmp)

    def not_in(self, name: str) -> list[str]:
        """Return what a file of this format ("PNG", …) cannot hold."""
        lost = []
        if name != "PNG":
            kinds = {kind.decode() for kind, _ in self.png_chunks}
            colour = {"gAMA", "cHRM", "cICP", "mDCV", "cLLI"} & kinds
            if colour and "sRGB" not in kinds:
                lost.append(f"colour space ({', '.join(sorted(colour))})")
            if {"tEXt", "zTXt", "iTXt"} & kinds:
                lost.append("text")
        if name != "TIFF" and self.tiff_tags:
            lost.append("TIFF tags (" + ", ".join(map(str, sorted(self.tiff_tags))) + ")")
        if name == "BMP" and self.xmp:
            lost.append("XMP packet")
        return lost
