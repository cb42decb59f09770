"""Write a graph to an ONNX file with its contract and description, and verify it."""

from __future__ import annotations

from pathlib import Path

import onnx

from ..runtime.model_info import ModelInfo
from ..runtime.system.console import Log
from ..runtime.system.files import write_atomically
from .onnx.file import to_bytes
from .onnx.io_contract import add_contract
from .report import ExportedFile
from .settings import ExportSettings
from .source import Source
from .verify.verify import verify_onnx


def export_onnx(
    source: Source, bare: onnx.ModelProto, info: ModelInfo, path: Path, settings: ExportSettings, log: Log
) -> ExportedFile:
    """Write one ONNX file and, by the settings, verify it.

    Args:
        info: description with the precision of the graph; io is filled in.

    Raises:
        UserError: the sizes do not fit the model, or the file cannot be written.
        VerificationError: the file does not compute what the source computes.
    """
    model, info = add_contract(
        bare,
        info,
        precision=info.precision,
        io=settings.io_for(info),
        tile_px=settings.tile_px,
        batch=settings.batch,
        dynamic=settings.dynamic,
    )
    write_atomically(path, to_bytes(model))
    agreement = None
    if settings.verify:
        log(f"verifying {path.name} against {source.path}")
        agreement = verify_onnx(path, source.reference, source=str(source.path))
    return ExportedFile(path, info.precision, path.stat().st_size, agreement)
