"""Run n2b-export: export a trained model to ONNX files and an engine."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..calibration.ranges import Method
from ..runtime.errors import MissingPackageError, UserError
from ..runtime.system.console import run_command
from ..runtime.system.run_folders import link_latest, new_dated_folder
from .settings import CalibrationSettings, ExportSettings, Io, Target
from .tensorrt.options import BuilderOptions
from .tensorrt.profile import Shapes, parse_shape

if TYPE_CHECKING:
    from rich.table import Table

    from .report import ExportedFile

_logger = logging.getLogger(__name__)

EXPORTS = Path("exports")
_PRECISION, _SHAPES, _ENGINE = "Precision and calibration", "Shapes", "Engine"
_TRITON, _OUTPUT = "Triton", "Output"


def main() -> None:
    """Run the console script."""
    run_command(export, "n2b-export")


def export(
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="MODEL",
            help="Run folder, checkpoint, FP32 .onnx file, or bundled model (gaussian, camera); "
            "default: runs/latest, else gaussian.",
            rich_help_panel="Model",
        ),
    ] = None,
    fp16: Annotated[
        bool,
        typer.Option(
            "--fp16", rich_help_panel=_PRECISION, help="Also write FP16, and build the engine from it."
        ),
    ] = False,
    int8: Annotated[
        bool,
        typer.Option(
            "--int8",
            rich_help_panel=_PRECISION,
            help="Also write INT8, for TensorRT and CPUs, and build the engine from it.",
        ),
    ] = False,
    calib: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            rich_help_panel=_PRECISION,
            help="Noisy images for INT8: file, folder, video, camera:0; default: the run's, else samples.",
        ),
    ] = CalibrationSettings.images,
    calib_method: Annotated[
        Method, typer.Option(rich_help_panel=_PRECISION, help="Method of measuring INT8 ranges.")
    ] = CalibrationSettings.method,
    calib_tiles: Annotated[
        int,
        typer.Option(
            metavar="N", rich_help_panel=_PRECISION, help="Largest number of tiles to calibrate on."
        ),
    ] = CalibrationSettings.tiles,
    ranges: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", rich_help_panel=_PRECISION, help="Use the ranges.json of an earlier --int8."
        ),
    ] = CalibrationSettings.ranges,
    tile: Annotated[
        int, typer.Option(metavar="PX", rich_help_panel=_SHAPES, help="Height and width of the input.")
    ] = ExportSettings.tile_px,
    batch: Annotated[
        int, typer.Option(metavar="N", rich_help_panel=_SHAPES, help="Number of tiles in the input.")
    ] = ExportSettings.batch,
    dynamic: Annotated[
        bool,
        typer.Option(
            "--dynamic",
            rich_help_panel=_SHAPES,
            help="Leave the input's sizes open; an engine then takes a range of shapes.",
        ),
    ] = False,
    min_shape: Annotated[
        str | None,
        typer.Option(
            metavar="NxHxW", rich_help_panel=_SHAPES, help="With --dynamic: smallest input of an engine."
        ),
    ] = None,
    opt_shape: Annotated[
        str | None,
        typer.Option(
            metavar="NxHxW",
            rich_help_panel=_SHAPES,
            help="With --dynamic: input that the engine is tuned for.",
        ),
    ] = None,
    max_shape: Annotated[
        str | None,
        typer.Option(
            metavar="NxHxW", rich_help_panel=_SHAPES, help="With --dynamic: largest input of an engine."
        ),
    ] = None,
    target: Annotated[
        Target | None,
        typer.Option(
            rich_help_panel=_ENGINE, help="TensorRT to build an engine for; default: the installed one."
        ),
    ] = ExportSettings.target,
    engine: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            rich_help_panel=_ENGINE,
            help="Only build this engine, from an .onnx file of n2b-export.",
        ),
    ] = None,
    workspace: Annotated[
        float | None,
        typer.Option(metavar="GIB", rich_help_panel=_ENGINE, help="Limit of a kernel's scratch memory."),
    ] = ExportSettings.workspace_gib,
    timing_cache: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            rich_help_panel=_ENGINE,
            help="File of TensorRT's kernel times; default: in the user's cache folder.",
        ),
    ] = ExportSettings.timing_cache,
    builder_level: Annotated[
        int | None,
        typer.Option(
            metavar="0..5", rich_help_panel=_ENGINE, help="Effort of TensorRT's search for fast kernels."
        ),
    ] = BuilderOptions.level,
    hardware_compat: Annotated[
        bool,
        typer.Option(
            "--hardware-compat", rich_help_panel=_ENGINE, help="TensorRT: run on every GPU from Ampere on."
        ),
    ] = False,
    version_compat: Annotated[
        bool,
        typer.Option(
            "--version-compat", rich_help_panel=_ENGINE, help="TensorRT: also run with later versions."
        ),
    ] = False,
    dla: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            rich_help_panel=_ENGINE,
            help="TensorRT: DLA core to use; the GPU runs unsupported layers.",
        ),
    ] = BuilderOptions.dla,
    portable: Annotated[
        bool,
        typer.Option(
            "--portable", rich_help_panel=_ENGINE, help="TensorRT-RTX: run on every GPU that it supports."
        ),
    ] = False,
    triton: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", rich_help_panel=_TRITON, help="Also add the model to this Triton model repository."
        ),
    ] = ExportSettings.triton,
    triton_name: Annotated[
        str, typer.Option(metavar="NAME", rich_help_panel=_TRITON, help="Name of the model there.")
    ] = ExportSettings.triton_name,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", rich_help_panel=_OUTPUT, help="Folder for the files; default: exports/<date-time>."
        ),
    ] = None,
    io: Annotated[
        Io,
        typer.Option(
            rich_help_panel=_OUTPUT,
            help="dtype of the input and output; float32 in [0, 1] is for 16-bit images.",
        ),
    ] = ExportSettings.io,
    opset: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=_OUTPUT,
            help="ONNX operator set, 17 to 20; default: 18, or that of the .onnx file.",
        ),
    ] = None,
    verify: Annotated[
        bool, typer.Option(rich_help_panel=_OUTPUT, help="Compare each ONNX file with its source.")
    ] = ExportSettings.verify,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug",
            rich_help_panel=_OUTPUT,
            help="Show TensorRT's messages, and the traceback of an error.",
        ),
    ] = False,
) -> None:
    """Export a trained model to ONNX and, if TensorRT is installed, to an engine.

    Each ONNX file is compared with its source; the files appear all together or not at all.
    """
    for package in ("onnx", "jinja2"):
        if importlib.util.find_spec(package) is None:
            raise MissingPackageError(package, extra="export")
    from .engine import make_engine_only
    from .exporter import export_model
    from .source import find_source, load_source

    settings = ExportSettings(
        fp16=fp16,
        int8=CalibrationSettings(calib, calib_method, calib_tiles, ranges) if int8 else None,
        tile_px=tile,
        batch=batch,
        dynamic=dynamic,
        shapes=Shapes(
            parse_shape(min_shape, "--min-shape"),
            parse_shape(opt_shape, "--opt-shape"),
            parse_shape(max_shape, "--max-shape"),
        ),
        io=io,
        target=target,
        workspace_gib=workspace,
        timing_cache=timing_cache,
        builder=BuilderOptions(builder_level, hardware_compat, version_compat, dla, portable),
        verify=verify,
        verbose=debug,
        triton=triton,
        triton_name=triton_name,
    )
    if not int8 and (calib or ranges):
        raise UserError("--calib and --ranges are for INT8; add --int8")
    path = find_source(model)
    if engine is not None:
        _refuse_with_engine(fp16, int8, dynamic, io == "float32", opset, out)
        make_engine_only(path, engine, settings, print)
        return
    print(f"exporting {path}")
    folder = out or new_dated_folder(EXPORTS)
    earlier = _files_in(folder)
    files = export_model(load_source(path, opset=opset), folder, settings, print)
    _report(files, earlier, target)
    if out is None:
        link_latest(folder, EXPORTS)
        print("next: n2b-infer --camera 0")


def _refuse_with_engine(*others: object) -> None:
    if any(others):
        raise UserError(
            "--engine uses an .onnx file unchanged; "
            "leave --fp16, --int8, --dynamic, --io, --opset and --out out"
        )


def _files_in(folder: Path) -> set[Path]:
    from .exporter import FILES

    return {folder / name for name in FILES if (folder / name).exists()}


def _report(files: list[ExportedFile], earlier: set[Path], target: Target | None) -> None:
    from rich.console import Console

    from .report import REPORT, legend

    Console().print(_table(files))
    print(legend(files))
    if target is None and not any(file.path.suffix == ".engine" for file in files):
        print(
            "no engine: TensorRT is not installed "
            "(pip install 'noise2blur[tensorrt]', or 'noise2blur[rtx]' for TensorRT-RTX)"
        )
    for path in sorted(earlier - {file.path for file in files}):
        _logger.warning(f"{path} is from an earlier export, and was kept")
    print(f"files: {files[0].path.parent}")
    print(f"report: {files[0].path.with_name(REPORT)}")


def _table(files: list[ExportedFile]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from .report import COLUMNS, row_of

    table = Table(*COLUMNS, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))  # fits 80 columns
    table.columns[0].no_wrap = True
    for file in files:
        table.add_row(*row_of(file))
    return table
