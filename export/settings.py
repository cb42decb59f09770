"""What n2b-export can be asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from .tensorrt.options import BuilderOptions
from .tensorrt.profile import Shapes

# With a halo of 48 px a tile of 512 px computes 1.5 px for each that it keeps, one of 128 px 16; beyond 512
# less is gained, while memory grows with the square.
DEFAULT_TILE_PX = 512


@dataclass(frozen=True)
class CalibrationSettings:
    """How to make INT8.

    Attributes:
        pictures: noisy pictures to take tiles of: file, folder, glob, video, camera:0; None: the run's, else
            the samples.
        method: "percentile", "minmax" or "entropy".
        tiles: how many, at most.
        ranges: a file of ranges to take instead of measuring them.
    """

    pictures: str | None = None
    method: str = "percentile"
    tiles: int = 256
    ranges: Path | None = None


@dataclass(frozen=True)
class ExportSettings:
    """What to make of a model.

    Attributes:
        fp16: also write FP16, and build the engine from it.
        int8: also write INT8, for TensorRT and for CPUs, and build the engine from it; None: do not.
        tile_px: height and width of the input; with `dynamic`, of the input that an engine is tuned for.
        batch: images in the input; with `dynamic`, the most that an engine takes.
        dynamic: leave batch, height and width of the input open.
        shapes: with `dynamic`, the shapes of an engine that are not to be chosen by `dynamic_profile`.
        io: dtype of the input and output, "uint8", or "float32" in [0, 1].
        target: "tensorrt", "tensorrt-rtx", "none", or None: whichever is installed.
        workspace_gib: the most scratch memory of an engine's kernels; None: TensorRT's own limit.
        timing_cache: where TensorRT keeps its kernel times; None: in the user's cache folder.
        builder: what else is asked of an engine's builder.
        verify: compare each ONNX file with the source before it gets its name.
        verbose: show TensorRT's messages.
        triton: a model repository of the Triton Inference Server that gets the model too; None: none does.
        triton_name: the model's name there.
    """

    fp16: bool = False
    int8: CalibrationSettings | None = None
    tile_px: int = DEFAULT_TILE_PX
    batch: int = 1
    dynamic: bool = False
    shapes: Shapes = field(default_factory=Shapes)
    io: str = "uint8"
    target: str | None = None
    workspace_gib: float | None = None
    timing_cache: Path | None = None
    builder: BuilderOptions = field(default_factory=BuilderOptions)
    verify: bool = True
    verbose: bool = False
    triton: Path | None = None
    triton_name: str = "n2b"
