"""Run n2b-export: export a trained model to ONNX files and an engine."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..runtime.errors import UserError
from ..runtime.system.console import run_command
from ..runtime.system.file_names import check_folder_name
from ..runtime.system.options import changed_options, from_options, option, with_options
from ..runtime.system.packages import check_installed
from ..runtime.system.run_folders import claimed_folder, link_latest
from .settings import ENGINE_PANEL, OUTPUT_PANEL, ExportSettings, Target

if TYPE_CHECKING:
    from rich.table import Table

    from .report import ExportedFile

_logger = logging.getLogger(__name__)

EXPORTS = Path("exports")


def main() -> None:
    """Run the console script."""
    run_command(export, "n2b-export")


@dataclass(frozen=True)
class _Files:
    """Files to write, and their operator set."""

    engine: Path | None = option(
        ENGINE_PANEL, None, "Only build this engine, from an .onnx file of n2b-export.", metavar="PATH"
    )
    out: Path | None = option(
        OUTPUT_PANEL, None, "Folder for the files; default: exports/<date-time>.", metavar="DIR"
    )
    opset: int | None = option(
        OUTPUT_PANEL, None, "ONNX operator set, 17 to 20; default: 18, or that of the .onnx file."
    )


@with_options(ExportSettings, _Files)
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
    **options: Any,
) -> None:
    """Export a trained model to ONNX and, if TensorRT is installed, to an engine.

    Each ONNX file is compared with its source; the files appear all together or not at all.
    """
    for package in ("onnx", "jinja2"):
        check_installed(package, extra="export")
    from .engine import make_engine_only
    from .exporter import export_model
    from .source import find_source, load_source

    settings, files = from_options(ExportSettings, options), from_options(_Files, options)
    if not settings.int8 and (settings.calibration.images or settings.calibration.ranges):
        raise UserError("--calib and --ranges are for INT8; add --int8")
    check_folder_name(files.out, "--out")
    path = find_source(model)
    if files.engine is not None:
        changed = {**changed_options(settings), **changed_options(files)}
        if changed.keys() & {"--fp16", "--int8", "--dynamic", "--io", "--opset", "--out"}:
            raise UserError(
                "--engine uses an .onnx file unchanged; "
                "leave --fp16, --int8, --dynamic, --io, --opset and --out out"
            )
        make_engine_only(path, files.engine, settings, print)
        return
    print(f"exporting {path}")
    with nullcontext(files.out) if files.out else claimed_folder(EXPORTS) as folder:
        earlier = _files_in(folder)
        exported = export_model(load_source(path, opset=files.opset), folder, settings, print)
    _report(exported, earlier, settings.target)
    if files.out is None:
        link_latest(folder, EXPORTS)
        print("next: n2b-infer --camera 0")


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
