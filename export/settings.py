"""Settings of an export; their fields are n2b-export's options."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from ..calibration.ranges import Method
from ..runtime.model_info import ModelInfo
from ..runtime.system.options import option
from .tensorrt.options import ENGINE_PANEL, BuilderOptions
from .tensorrt.profile import SHAPES_PANEL, Shapes

Io = Literal["uint8", "float32"]
Target = Literal["tensorrt", "tensorrt-rtx", "none"]

# With an overlap of 48 px a tile of 512 px computes 1.5 px for each that it keeps, one of 128 px 16; larger
# tiles gain less, while memory grows with the square.
DEFAULT_TILE_PX = 512

OUTPUT_PANEL = "Output"
_precision, _shapes, _engine, _triton, _output = (
    partial(option, panel)
    for panel in ("Precision and calibration", SHAPES_PANEL, ENGINE_PANEL, "Triton", OUTPUT_PANEL)
)


@dataclass(frozen=True)
class CalibrationSettings:
    """Settings of an INT8 calibration; without `images` the run's, else the samples."""

    images: str | None = _precision(
        None,
        "Noisy images for INT8: file, folder, video, camera:0; default: the run's, else samples.",
        name="--calib",
        metavar="PATH",
    )
    white_level: float | None = _precision(
        None, "Value of white in 16-bit and floating-point images of --calib, such as 4095.", metavar="N"
    )
    method: Method = _precision("percentile", "Method of measuring INT8 ranges.", name="--calib-method")
    tiles: int = _precision(
        256,
        "Largest number of tiles to calibrate on.",
        name="--calib-tiles",
        metavar="N",
        minimum=1,
        maximum=10**6,
    )
    ranges: Path | None = _precision(None, "Use the ranges.json of an earlier --int8.", metavar="FILE")


@dataclass(frozen=True)
class ExportSettings:
    """Settings of an export.

    With `dynamic`, the input has open sizes, and an engine is tuned for `batch` tiles of `tile_px`.
    """

    fp16: bool = _precision(False, "Also write FP16, and build the engine from it.", name="--fp16")
    int8: bool = _precision(
        False, "Also write INT8, for TensorRT and CPUs, and build the engine from it.", name="--int8"
    )
    calibration: CalibrationSettings = field(default_factory=CalibrationSettings)
    tile_px: int = _shapes(
        DEFAULT_TILE_PX,
        "Height and width of the input.",
        name="--tile",
        metavar="PX",
        minimum=1,
        maximum=65_536,
    )
    batch: int = _shapes(1, "Number of tiles in the input.", metavar="N", minimum=1, maximum=65_536)
    dynamic: bool = _shapes(
        False, "Leave the input's sizes open; an engine then takes a range of shapes.", name="--dynamic"
    )
    shapes: Shapes = field(default_factory=Shapes)
    target: Target | None = _engine(None, "TensorRT to build an engine for; default: the installed one.")
    workspace_gib: float | None = _engine(
        None, "Limit of a kernel's scratch memory.", name="--workspace", metavar="GIB", above=0, maximum=1024
    )
    timing_cache: Path | None = _engine(
        None, "File of TensorRT's kernel times; default: in the user's cache folder.", metavar="PATH"
    )
    builder: BuilderOptions = field(default_factory=BuilderOptions)
    triton: Path | None = _triton(None, "Also add the model to this Triton model repository.", metavar="DIR")
    triton_name: str = _triton("n2b", "Name of the model there.", metavar="NAME")
    io: Io | None = _output(
        None,
        "dtype of the input and output; float32 in [0, 1] is for 16-bit images; "
        "default: float32 if the model was trained on such, else uint8.",
    )
    verify: bool = _output(True, "Compare each ONNX file with its source.")
    verbose: bool = _output(False, "Show TensorRT's messages, and the traceback of an error.", name="--debug")

    @property
    def best_precision(self) -> str:
        """Precision of the engine: the narrowest that is exported."""
        return "int8" if self.int8 else "fp16" if self.fp16 else "fp32"

    def io_for(self, info: ModelInfo) -> Io:
        """Return the dtype of the input and output of a model: as set, else by what it was trained on."""
        return self.io or ("float32" if info.trained.get("bit_depth") == 16 else "uint8")
