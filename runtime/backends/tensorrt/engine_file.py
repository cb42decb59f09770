"""An engine's description, which lies beside it, and what is said where the engine does not fit."""

from __future__ import annotations

from pathlib import Path

from ...errors import ModelError, StaleEngineError
from ...model_info import ModelInfo
from ...system.files import sha256_of_file
from ...system.gpu import Gpu
from ...system.tensorrt import FLAVOURS
from .engine_compat import Here, difference, onnx_beside, rebuild_arguments
from .engine_rebuild import rebuild_command


def read_description(model: Path) -> ModelInfo:
    """What `<engine>.json` says.

    Raises:
        ModelError: it is missing, damaged, or describes no engine.
    """
    beside = model.with_name(f"{model.name}.json")
    try:
        text = beside.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{beside} describes the engine and cannot be read; use n2b-export") from error
    info = ModelInfo.from_json(text, source=str(beside))
    if info.engine.get("flavour") not in tuple(FLAVOURS):  # of any type, so not in a dict
        raise ModelError(f"{beside} describes no engine of {' or '.join(FLAVOURS)}; build it with n2b-export")
    return info


def check_fits(model: Path, info: ModelInfo, version: str, gpu: Gpu | None) -> None:
    """Raise StaleEngineError where an engine's description says that it does not run here."""
    onnx = onnx_beside(model, info)
    sha256 = sha256_of_file(onnx) if onnx is not None and onnx.is_file() else None
    found = difference(info.engine, Here(version, gpu, sha256))
    if found is not None:
        raise stale(model, info, found)


def stale(model: Path, info: ModelInfo, reason: str) -> StaleEngineError:
    """The error that says why an engine does not run here and how to build it again."""
    onnx = onnx_beside(model, info)
    arguments = None if onnx is None else rebuild_arguments(model, onnx, info.engine)
    advice = "build it here with n2b-export"
    if onnx is not None and arguments is not None:
        command = rebuild_command(arguments)
        advice = f"build it again: {command}"
        if not onnx.is_file():
            advice, arguments = f"put {onnx.name} beside it, then {command}", None
    return StaleEngineError(f"{model} does not fit: {reason}; {advice}", reason, arguments)
