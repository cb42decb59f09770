"""A graph → its ONNX file, with its contract and description, compared with its source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx

from ..runtime.model_info import ModelInfo
from ..runtime.system.files import write_atomically
from .onnx.file import to_bytes
from .onnx.io_contract import add_contract
from .report import Artifact
from .settings import ExportSettings
from .source import Source
from .verify.verify import verify_onnx


def export_onnx(
    source: Source,
    bare: onnx.ModelProto,
    info: ModelInfo,
    path: Path,
    settings: ExportSettings,
    say: Callable[[str], None],
) -> Artifact:
    """Write one ONNX file and, unless the settings say otherwise, verify it.

    Args:
        source: what the file is verified against.
        bare: its graph, without contract.
        info: what it says of itself, its precision among it; io is filled in.
        path: gets the file.
        settings: its input and output, and whether to verify.
        say: hears what is being done.

    Raises:
        UserError: the sizes do not fit the model, or the file cannot be written.
        VerificationError: the file does not compute what the source computes.
    """
    model, info = add_contract(
        bare,
        info,
        precision=info.precision,
        io=settings.io,
        tile_px=settings.tile_px,
        batch=settings.batch,
        dynamic=settings.dynamic,
    )
    write_atomically(path, to_bytes(model))
    agreement = None
    if settings.verify:
        say(f"verifying {path.name} against {source.path}")
        agreement = verify_onnx(path, source.reference, source=str(source.path))
    return Artifact(path, info.precision, path.stat().st_size, agreement)
