"""Find a model by name: a file, an export's folder, the latest export, or a bundled model."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from .errors import ModelError
from .system.files import parse_json, sha256_of_file

LATEST_EXPORT = Path("exports/latest")  # written by n2b-export, relative to the current folder
BUNDLED = Path(__file__).parent / "models"
DEFAULT_BUNDLED, CAMERA_BUNDLED = "gaussian", "camera"  # for Gaussian noise, and for camera noise
CAMERA_ARCH = "edge"  # of the latter

# in an export's folder; the first engine that was built with this model.onnx is used
MODEL_ONNX = "model.onnx"
INT8_SUFFIX = ".int8-cpu.onnx"  # after a file's stem: its form in INT8 for CPUs
_ENGINES = ("model.engine", "model.int8.engine", "model.fp16.engine", "model.fp32.engine")


@dataclass(frozen=True)
class ModelFiles:
    """The files of one model; at least one is not None."""

    onnx: Path | None = None
    engine: Path | None = None

    @property
    def int8_for_cpu(self) -> Path | None:
        """The ONNX file's INT8 form for CPUs, next to it or itself; None if there is none."""
        if self.onnx is None or self.onnx.name.endswith(INT8_SUFFIX):
            return self.onnx
        form = self.onnx.with_name(f"{self.onnx.stem}{INT8_SUFFIX}")
        return form if form.is_file() else None


def find_model(model: str | Path | None = None) -> ModelFiles:
    """Return the files of a model.

    Args:
        model: an .onnx or .engine file, a folder written by n2b-export, or the name of a bundled model;
            None: the latest export in the current folder, else the bundled model for Gaussian noise.

    Raises:
        ModelError: the model does not exist.
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
        files = _in_folder(path)
        if files is None:
            raise ModelError(
                f"{path} contains neither {MODEL_ONNX} nor an engine; name a folder written by n2b-export"
            )
        return files
    if not path.exists():
        names = ", ".join(bundled_models())
        raise ModelError(
            f"there is no model {path}; name an .onnx or .engine file, an export's folder, or one of: {names}"
        )
    if path.suffix == ".onnx":
        return ModelFiles(onnx=path)
    if path.suffix == ".engine":
        return ModelFiles(engine=path)
    hint = (
        "; make one from the checkpoint with n2b-export"
        if path.suffix in (".pt", ".pth", ".safetensors")
        else ""
    )
    raise ModelError(f"{path} is neither an .onnx nor an .engine file{hint}")


def default_for_camera() -> str | None:
    """Return the default model for frames of a camera, for `find_model`.

    That is the bundled model for camera noise, or None if there is an export, which is then the default.
    """
    has_export = _in_folder(LATEST_EXPORT) is not None
    return CAMERA_BUNDLED if CAMERA_BUNDLED in bundled_models() and not has_export else None


def bundled_models() -> dict[str, Path]:
    """Return the bundled models by name; each has a model card, a .md file, next to it."""
    return {path.stem: path for path in sorted(BUNDLED.glob("*.onnx")) if "." not in path.stem}


def float32_command(model: Path, precision: str) -> str:
    """Return the command that exports a model for 16-bit and floating-point images from a model's source."""
    source: str | Path = "MODEL"
    if model.parent == BUNDLED:
        source = model.stem
    elif model.suffix == ".onnx" and precision == "fp32":
        source = model
    elif model.with_name(MODEL_ONNX).is_file():
        source = model.with_name(MODEL_ONNX)
    return f"n2b-export {shlex.quote(str(source))} --io float32 --dynamic"


def _in_folder(folder: Path) -> ModelFiles | None:
    onnx = folder / MODEL_ONNX
    engines = [path for name in _ENGINES if (path := folder / name).is_file()]
    # that of another model.onnx is the last choice: its backend refuses or rebuilds it
    engine = next((one for one in engines if not is_of_other_model(one)), engines[0] if engines else None)
    files = ModelFiles(onnx if onnx.is_file() else None, engine)
    return files if files.onnx or files.engine else None


def is_of_other_model(engine: Path) -> bool:
    """Return True if an engine was not built with the model.onnx next to it, by the hash in its description.

    Return False if there is no model.onnx, or no readable description: the backend reports that.
    """
    onnx = engine.with_name(MODEL_ONNX)
    if not onnx.is_file():
        return False
    try:
        described = parse_json(engine.with_name(f"{engine.name}.json").read_bytes())
        recorded = described["sources"].get(MODEL_ONNX), described["engine"].get("onnx_sha256")
        return sha256_of_file(onnx) not in recorded
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False
