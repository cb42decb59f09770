"""Which file a model's name means: a file, an export's folder, the latest export, or the bundled model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .errors import ModelError

LATEST_EXPORT = Path("exports/latest")  # below the current folder, as n2b-export leaves it
BUNDLED = Path(__file__).parent / "models" / "gaussian.onnx"

# in an export's folder; of several engines the first here
_ONNX, _ENGINES = "model.onnx", ("model.engine", "model.fp16.engine", "model.fp32.engine")


@dataclass(frozen=True)
class ModelFiles:
    """The forms in which one model is there; at least one is not None."""

    onnx: Path | None = None
    engine: Path | None = None


def find_model(model: str | Path | None = None) -> ModelFiles:
    """The files of a model.

    Args:
        model: an .onnx or .engine file, or a folder that n2b-export made; None: the latest export
            below the current folder, else the bundled model.

    Raises:
        ModelError: there is no such model.
    """
    if model is None:
        latest = _in_folder(LATEST_EXPORT)
        if latest is not None:
            return latest
        if not BUNDLED.is_file():
            raise ModelError("this installation has no bundled model; name a model with -m")
        return ModelFiles(onnx=BUNDLED)
    path = Path(model)
    if path.is_dir():
        found = _in_folder(path)
        if found is None:
            raise ModelError(f"{path} has neither {_ONNX} nor an engine; name a folder that n2b-export made")
        return found
    if not path.exists():
        raise ModelError(f"there is no model {path}; name an .onnx or .engine file, or an export's folder")
    if path.suffix == ".onnx":
        return ModelFiles(onnx=path)
    if path.suffix == ".engine":
        return ModelFiles(engine=path)
    hint = "n2b-export makes one of a checkpoint" if path.suffix in (".pt", ".pth", ".safetensors") else ""
    raise ModelError(f"{path} is neither an .onnx nor an .engine file{'; ' if hint else ''}{hint}")


def _in_folder(folder: Path) -> ModelFiles | None:
    onnx = folder / _ONNX
    engines = (path for name in _ENGINES if (path := folder / name).is_file())
    found = ModelFiles(onnx if onnx.is_file() else None, next(engines, None))
    return found if found.onnx or found.engine else None
