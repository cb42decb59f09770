"""Read an engine's description, and check that the engine fits this machine."""

from __future__ import annotations

from pathlib import Path

from ...errors import ModelError, StaleEngineError
from ...model_files import MODEL_ONNX, is_of_other_model
from ...model_info import ModelInfo
from ...system.files import sha256_of_file
from ...system.gpu import Gpu
from ...system.tensorrt import FLAVOURS
from .engine_compat import Host, mismatch, onnx_beside, rebuild_arguments
from .engine_rebuild import rebuild_command


def read_description(model: Path) -> ModelInfo:
    """Read `<engine>.json`, the description of an engine.

    Raises:
        ModelError: it is missing or damaged, or does not describe an engine.
    """
    path = model.with_name(f"{model.name}.json")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} describes the engine and cannot be read; use n2b-export") from error
    info = ModelInfo.from_json(text, source=str(path))
    if info.engine.get("flavour") not in tuple(FLAVOURS):  # may be of any type
        raise ModelError(f"{path} describes no engine of {' or '.join(FLAVOURS)}; build it with n2b-export")
    return info


def check_fits(model: Path, info: ModelInfo, version: str, gpu: Gpu | None) -> None:
    """Raise StaleEngineError if an engine does not run here by its description."""
    onnx = onnx_beside(model, info)
    sha256 = sha256_of_file(onnx) if onnx is not None and onnx.is_file() else None
    reason = mismatch(info.engine, Host(version, gpu, sha256))
    if reason is not None:
        raise stale(model, info, reason)
    if is_of_other_model(model):  # an FP16 engine was built from another file, which was made with it
        reason = f"it was not built with the {MODEL_ONNX} next to it"
        raise StaleEngineError(f"{model} does not fit: {reason}; export the model again", reason)


def stale(model: Path, info: ModelInfo, reason: str) -> StaleEngineError:
    """Return the error with the reason why an engine does not run here and the command that rebuilds it."""
    onnx = onnx_beside(model, info)
    arguments = None if onnx is None else rebuild_arguments(model, onnx, info.engine)
    advice = "build it here with n2b-export"
    if onnx is not None and arguments is not None:
        command = rebuild_command(arguments)
        advice = f"rebuild it: {command}"
        if not onnx.is_file():
            advice, arguments = f"put {onnx.name} next to it, then {command}", None
    return StaleEngineError(f"{model} does not fit: {reason}; {advice}", reason, arguments)
