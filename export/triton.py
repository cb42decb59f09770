"""A model repository of the Triton Inference Server: <model>/config.pbtxt and <model>/<version>/<file>."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from ..runtime.errors import UserError
from ..runtime.model_info import ModelInfo
from ..runtime.system.files import write_atomically
from .settings import ExportSettings
from .staging import staged_folder
from .triton_config import config_text

CONFIG = "config.pbtxt"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def check_repository(repository: Path, name: str) -> None:
    """Raise UserError, before any work is done, where a model of this name cannot go to `repository`."""
    if not _NAME.fullmatch(name):
        raise UserError(f"'{name}' cannot name a model; take letters, digits and _ . - of ASCII")
    for folder in (repository, repository / name):
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder} is a file; name the folder of a model repository")


def add_to_repository(
    repository: Path, name: str, file: Path, info: ModelInfo, settings: ExportSettings
) -> Path:
    """Add a model, or the next version of it, to a model repository.

    The server serves the newest version unless told otherwise. Other models, and earlier versions of this
    one, stay; the config is replaced, as it has to fit the version that is served.

    Args:
        repository: comes into being when it does not exist.
        name: of the model.
        file: an .onnx file, or a plan of TensorRT.
        info: what is known of the network.
        settings: what the file was exported with.

    Returns:
        The version's folder.

    Raises:
        UserError: the repository cannot be written.
    """
    check_repository(repository, name)
    is_engine = file.suffix == ".engine"
    info = dataclasses.replace(info, io=settings.io)
    version = str(max(_versions(repository / name), default=0) + 1)
    with staged_folder(repository / name) as staging:
        write_atomically(staging / version / f"model.{'plan' if is_engine else 'onnx'}", file.read_bytes())
        config = config_text(name, info, settings, is_engine=is_engine)
        write_atomically(staging / CONFIG, config.encode())
    return repository / name / version


def _versions(model: Path) -> list[int]:
    """The versions of a model that the server would see."""
    names = [path.name for path in model.iterdir()] if model.is_dir() else []
    return [int(name) for name in names if re.fullmatch("[1-9][0-9]*", name)]
