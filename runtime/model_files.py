"""Which file a model's name means: a file, an export's folder, the latest export, or a bundled model."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from .errors import ModelError

LATEST_EXPORT = Path("exports/latest")  # below the current folder, as n2b-export leaves it
BUNDLED = Path(__file__).parent / "models"
DEFAULT_BUNDLED, CAMERA_BUNDLED = "gaussian", "camera"  # for images, and for a camera's own noise

# in an export's folder; of several engines the first here
_ONNX = "model.onnx"
_ENGINES = ("model.engine", "model.int8.engine", "model.fp16.engine", "model.fp32.engine")


@dataclass(frozen=True)
class ModelFiles:
    """The forms in which one model is there; at least one is not None."""

    onnx: Path | None = None
    engine: Path | None = None


def find_model(model: str | Path | None = None) -> ModelFiles:
    """The files of a model.

    Args:
        model: an .onnx or .engine file, a folder that n2b-export made, or the name of a bundled model;
            None: the latest export below the current folder, else the bundled model for Gaussian noise.

    Raises:
        ModelError: there is no such model.
    """
    if model is None:
        latest = _in_folder(LATEST_EXPORT)
        if latest is not None:
            return latest
        bundled = bundled_models()
        if DEFAULT_BUNDLED not in bundled:
            raise ModelError("this installation has no bundled model; name a model with -m")
        return ModelFiles(onnx=bundled[DEFAULT_BUNDLED])
    path = Path(model)
    if not path.exists() and (named := bundled_models().get(str(model))):
        return ModelFiles(onnx=named)
    if path.is_dir():
        found = _in_folder(path)
        if found is None:
            raise ModelError(f"{path} has neither {_ONNX} nor an engine; name a folder that n2b-export made")
        return found
    if not path.exists():
        names = ", ".join(bundled_models())
        raise ModelError(
            f"there is no model {path}; name an .onnx or .engine file, an export's folder, or one of: {names}"
        )
    if path.suffix == ".onnx":
        return ModelFiles(onnx=path)
    if path.suffix == ".engine":
        return ModelFiles(engine=path)
    hint = "n2b-export makes one of a checkpoint" if path.suffix in (".pt", ".pth", ".safetensors") else ""
    raise ModelError(f"{path} is neither an .onnx nor an .engine file{'; ' if hint else ''}{hint}")


def default_for_camera() -> str | None:
    """The name to give `find_model` for a camera's frames when none is named: a bundled model, made for
    cameras, unless there is an export."""
    has_export = _in_folder(LATEST_EXPORT) is not None
    return CAMERA_BUNDLED if CAMERA_BUNDLED in bundled_models() and not has_export else None


def bundled_models() -> dict[str, Path]:
    """The models that this installation brings, by name; each has its card, a .md file, beside it."""
    return {path.stem: path for path in sorted(BUNDLED.glob("*.onnx"))}


def float32_command(model: Path, precision: str) -> str:
    """The command that makes, of what a model was made from, one that takes 16-bit and floating-point images.

    Args:
        model: an .onnx or .engine file.
        precision: its own; only an FP32 ONNX file can be exported again.
    """
    source: str | Path = "MODEL"
    if model.parent == BUNDLED:
        source = model.stem
    elif model.suffix == ".onnx" and precision == "fp32":
        source = model
    elif model.with_name(_ONNX).is_file():
        source = model.with_name(_ONNX)
    return f"n2b-export {shlex.quote(str(source))} --io float32 --dynamic"


def _in_folder(folder: Path) -> ModelFiles | None:
    onnx = folder / _ONNX
    engines = (path for name in _ENGINES if (path := folder / name).is_file())
    found = ModelFiles(onnx if onnx.is_file() else None, next(engines, None))
    return found if found.onnx or found.engine else None
