"""Write the files of an INT8 export: two graphs, their ranges, and the loss of each layer."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection
from pathlib import Path

from ...calibration.ranges import RANGES_NAME
from ...runtime.system.console import Log
from ...runtime.system.files import sha256_of_file, write_atomically
from ..report import ExportedFile, LayerRow
from ..settings import ExportSettings
from ..source import Source
from ..write_onnx import export_onnx
from .quantize import Quantized, quantize

LAYERS_NAME = "layers.json"


def export_int8(
    source: Source, staging: Path, settings: ExportSettings, fp32_nodes: Collection[str], log: Log
) -> tuple[list[ExportedFile], list[LayerRow]]:
    """Write `model.int8-cpu.onnx`, `model.int8.onnx`, `ranges.json` and `layers.json`.

    Returns:
        The files of the two graphs; the rows of the report's table of layers.

    Raises:
        UserError, ModelError, VerificationError: see `quantize` and `export_onnx`.
    """
    quantized = quantize(source, settings.calibration, fp32_nodes, log)
    quantized.calibration.ranges.save(staging / RANGES_NAME)
    write_atomically(staging / LAYERS_NAME, (json.dumps(quantized.to_dict(), indent=1) + "\n").encode())
    sources = source.info.sources | {RANGES_NAME: sha256_of_file(staging / RANGES_NAME)}
    files = []
    for precision in ("int8-cpu", "int8"):
        info = dataclasses.replace(
            source.info, precision=precision, calibration=quantized.description(precision), sources=sources
        )
        path = staging / f"model.{precision}.onnx"
        files.append(export_onnx(source, quantized.graphs[precision], info, path, settings, log))
    rows = _rows(quantized)
    _log_rows(rows, quantized, log)
    return files, rows


def _rows(quantized: Quantized) -> list[LayerRow]:
    choices = quantized.calibration.choices
    return [
        LayerRow(
            loss.layer,
            f"{loss.loss_db:+.3f}",
            ", ".join(name for name, choice in choices.items() if loss.layer in choice.kept),
        )
        for loss in quantized.calibration.losses
    ]


def _log_rows(rows: list[LayerRow], quantized: Quantized, log: Log) -> None:
    log("loss of PSNR by INT8 in one layer alone, dB:")
    for row in rows:
        log(
            f"  {row.layer:24} {row.loss_db}"
            + (f"  stays in floats: {row.in_floats}" if row.in_floats else "")
        )
    for name, choice in quantized.calibration.choices.items():
        log(f"{name}: {len(choice.layers)} layers in INT8, loss {choice.loss_db:.3f} dB")
