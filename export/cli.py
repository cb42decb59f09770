"""n2b-export: a trained model in, ONNX files and an engine out."""

from __future__ import annotations

import importlib.util
import logging
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..runtime.errors import MissingPackageError, UserError
from ..runtime.system.console import run_command
from ..runtime.system.run_folders import link_latest, new_dated_folder
from .settings import DEFAULT_TILE_PX, CalibrationSettings, ExportSettings
from .tensorrt.options import BuilderOptions
from .tensorrt.profile import Shapes, parse_shape

if TYPE_CHECKING:
    from rich.table import Table

    from .report import Artifact

_logger = logging.getLogger(__name__)

EXPORTS = Path("exports")


class Io(str, Enum):
    """dtype of the model's input and output."""

    uint8 = "uint8"
    float32 = "float32"


class Target(str, Enum):
    """What an engine is built for."""

    tensorrt = "tensorrt"
    tensorrt_rtx = "tensorrt-rtx"
    none = "none"


def main() -> None:
    """Entry point of the console script."""
    run_command(export, "n2b-export")


def export(
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="MODEL",
            help="A run's folder, checkpoint or FP32 .onnx file, or a bundled model (gaussian, camera); "
            "default: runs/latest, else gaussian.",
        ),
    ] = None,
    fp16: Annotated[
        bool, typer.Option("--fp16", help="Also write FP16, and build the engine from it.")
    ] = False,
    int8: Annotated[
        bool,
        typer.Option("--int8", help="Also write INT8, for TensorRT and CPUs; the engine is built from it."),
    ] = False,
    calib: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Noisy images for INT8: file, folder, video, camera:0; default: the run's, else samples.",
        ),
    ] = None,
    calib_method: Annotated[
        str, typer.Option(help="How INT8 ranges are taken: percentile, minmax or entropy.")
    ] = "percentile",
    calib_tiles: Annotated[int, typer.Option(metavar="N", help="Tiles to calibrate on, at most.")] = 256,
    ranges: Annotated[
        Path | None, typer.Option(metavar="FILE", help="ranges.json of an earlier --int8, to take again.")
    ] = None,
    tile: Annotated[int, typer.Option(metavar="PX", help="Height and width of the input.")] = DEFAULT_TILE_PX,
    batch: Annotated[int, typer.Option(metavar="N", help="Tiles in the input.")] = 1,
    dynamic: Annotated[
        bool,
        typer.Option(
            "--dynamic",
            help="Leave the input's sizes open; an engine then takes a range of shapes.",
        ),
    ] = False,
    min_shape: Annotated[
        str | None, typer.Option(metavar="NxHxW", help="With --dynamic: smallest input of an engine.")
    ] = None,
    opt_shape: Annotated[
        str | None, typer.Option(metavar="NxHxW", help="With --dynamic: the input that it is tuned for.")
    ] = None,
    max_shape: Annotated[
        str | None, typer.Option(metavar="NxHxW", help="With --dynamic: its largest input.")
    ] = None,
    io: Annotated[
        Io, typer.Option(help="dtype of the input and output; float32 in [0, 1] is for 16-bit images.")
    ] = Io.uint8,
    opset: Annotated[
        int | None, typer.Option(help="ONNX operator set, 17 to 20; default: 18, or that of the .onnx file.")
    ] = None,
    workspace: Annotated[
        float | None, typer.Option(metavar="GIB", help="Most scratch memory of an engine's kernels.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the files; default: exports/<date-time>.")
    ] = None,
    target: Annotated[
        Target | None, typer.Option(help="Engine to build; default: whichever is installed.")
    ] = None,
    engine: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Build only this engine, of an .onnx file as n2b-export wrote it."),
    ] = None,
    verify: Annotated[bool, typer.Option(help="Compare each ONNX file with its source.")] = True,
    timing_cache: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Where TensorRT keeps measured kernel times; default: in the user's cache folder.",
        ),
    ] = None,
    builder_level: Annotated[
        int | None, typer.Option(metavar="0..5", help="How long TensorRT searches for fast kernels.")
    ] = None,
    hardware_compat: Annotated[
        bool, typer.Option("--hardware-compat", help="TensorRT: an engine for every GPU from Ampere on.")
    ] = False,
    version_compat: Annotated[
        bool, typer.Option("--version-compat", help="TensorRT: an engine that later versions take too.")
    ] = False,
    dla: Annotated[
        int | None, typer.Option(metavar="N", help="TensorRT: the DLA core to use, the GPU for the rest.")
    ] = None,
    portable: Annotated[
        bool, typer.Option("--portable", help="TensorRT-RTX: an engine for every GPU that it knows.")
    ] = False,
    triton: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also add the model to this Triton model repository."),
    ] = None,
    triton_name: Annotated[str, typer.Option(metavar="NAME", help="The model's name there.")] = "n2b",
    debug: Annotated[
        bool, typer.Option("--debug", help="Show TensorRT's messages, and the traceback of an error.")
    ] = False,
) -> None:
    """Export a trained model to ONNX and, where TensorRT is installed, to an engine.

    Each ONNX file is compared with its source first; the files appear all together or not at all.
    """
    if importlib.util.find_spec("onnx") is None:
        raise MissingPackageError("onnx", extra="export")
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
        io=io.value,
        target=target.value if target else None,
        workspace_gib=workspace,
        timing_cache=timing_cache,
        builder=BuilderOptions(builder_level, hardware_compat, version_compat, dla, portable),
        verify=verify,
        verbose=debug,
        triton=triton,
        triton_name=triton_name,
    )
    if not int8 and (calib or ranges):
        raise UserError("--calib and --ranges are of INT8; give --int8 with them")
    path = find_source(model)
    if engine is not None:
        _refuse_with_engine(fp16, int8, dynamic, io is Io.float32, opset, out)
        make_engine_only(path, engine, settings, print)
        return
    print(f"exporting {path}")
    folder = out or new_dated_folder(EXPORTS)
    earlier = _files_in(folder)
    artifacts = export_model(load_source(path, opset=opset), folder, settings, print)
    _report(artifacts, earlier, target)
    if out is None:
        link_latest(folder, EXPORTS)
        print("next: n2b-infer --camera 0")


def _refuse_with_engine(*others: object) -> None:
    if any(others):
        raise UserError(
            "--engine takes an .onnx file as it is; "
            "leave --fp16, --int8, --dynamic, --io, --opset and --out out"
        )


def _files_in(folder: Path) -> set[Path]:
    from .exporter import FILES

    return {folder / name for name in FILES if (folder / name).exists()}


def _report(artifacts: list[Artifact], earlier: set[Path], target: Target | None) -> None:
    from rich.console import Console

    from .report import REPORT, legend

    Console().print(_table(artifacts))
    print(legend(artifacts))
    if target is None and not any(artifact.path.suffix == ".engine" for artifact in artifacts):
        print(
            "no engine: TensorRT is not installed "
            "(pip install 'noise2blur[tensorrt]', or 'noise2blur[rtx]' for TensorRT-RTX)"
        )
    for path in sorted(earlier - {artifact.path for artifact in artifacts}):
        _logger.warning(f"{path} is of an earlier export, and was left as it is")
    print(f"files: {artifacts[0].path.parent}")
    print(f"report: {artifacts[0].path.with_name(REPORT)}")


def _table(artifacts: list[Artifact]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from .report import COLUMNS, row_of

    table = Table(*COLUMNS, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))  # fits 80 columns
    table.columns[0].no_wrap = True
    for artifact in artifacts:
        table.add_row(*row_of(artifact))
    return table
