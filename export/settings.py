"""Settings of an export."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..calibration.ranges import Method
from .tensorrt.options import BuilderOptions
from .tensorrt.profile import Shapes

Io = Literal["uint8", "float32"]
Target = Literal["tensorrt", "tensorrt-rtx", "none"]

# With an overlap of 48 px a tile of 512 px computes 1.5 px for each that it keeps, one of 128 px 16; larger
# tiles gain less, while memory grows with the square.
DEFAULT_TILE_PX = 512


@dataclass(frozen=True)
class CalibrationSettings:
    """Settings of an INT8 calibration.

    Attributes:
        images: noisy images to take tiles of: file, folder, glob, video, camera:0; None: the run's, else the
            samples.
        method: of measuring ranges.
        tiles: largest number of tiles.
        ranges: file of ranges to use instead of measuring them.
    """

    images: str | None = None
    method: Method = "percentile"
    tiles: int = 256
    ranges: Path | None = None


@dataclass(frozen=True)
class ExportSettings:
    """Settings of an export.

    Attributes:
        fp16: also write FP16, and build the engine from it.
        int8: also write INT8, for TensorRT and for CPUs, and build the engine from it; None: do not.
        tile_px: height and width of the input; with `dynamic`, of the input that an engine is tuned for.
        batch: images in the input; with `dynamic`, the most that an engine takes.
        dynamic: leave batch, height and width of the input open.
        shapes: with `dynamic`, the shapes of an engine; those that are None are chosen by `dynamic_profile`.
        io: dtype of the input and output; float32 is in [0, 1].
        target: engine to build; None: for the installed TensorRT, if any.
        workspace_gib: limit of a kernel's scratch memory; None: TensorRT's default.
        timing_cache: file of TensorRT's kernel times; None: in the user's cache folder.
        builder: further options of an engine's builder.
        verify: compare each ONNX file with the source before it is published.
        verbose: show TensorRT's messages.
        triton: model repository of a Triton Inference Server to add the model to; None: do not.
        triton_name: the model's name there.
    """

    fp16: bool = False
    int8: CalibrationSettings | None = None
    tile_px: int = DEFAULT_TILE_PX
    batch: int = 1
    dynamic: bool = False
    shapes: Shapes = field(default_factory=Shapes)
    io: Io = "uint8"
    target: Target | None = None
    workspace_gib: float | None = None
    timing_cache: Path | None = None
    builder: BuilderOptions = field(default_factory=BuilderOptions)
    verify: bool = True
    verbose: bool = False
    triton: Path | None = None
    triton_name: str = "n2b"

    @property
    def best_precision(self) -> str:
        """Precision of the engine: the narrowest that is exported."""
        return "int8" if self.int8 else "fp16" if self.fp16 else "fp32"
