"""Add models to a Triton Inference Server's repository: <model>/config.pbtxt, <model>/<version>/<file>.

The config has the format of the server's ModelConfig, in protobuf's text format, and the values that its
documentation recommends.
"""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

from ..runtime.backends.graph_contract import DENOISED, IMAGE
from ..runtime.errors import UserError
from ..runtime.model_info import METADATA_KEY, ModelInfo
from ..runtime.system.files import write_atomically
from .settings import ExportSettings
from .staging import staged_folder

CONFIG = "config.pbtxt"
CHANNELS = 3
# A batch of tiles takes several milliseconds: one more adds little latency, and fills batches.
QUEUE_DELAY_US = 1000
WORKSPACE_BYTES = 2**30  # of the TensorRT inside ONNX Runtime, without --workspace
_DATA_TYPES = {"uint8": "TYPE_UINT8", "float32": "TYPE_FP32"}
_PRECISION_MODES = {"fp32": "FP32", "fp16": "FP16"}
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def check_repository(repository: Path, name: str) -> None:
    """Raise UserError, before any work, if a model of this name cannot be added to `repository`."""
    if not _NAME.fullmatch(name):
        raise UserError(f"'{name}' cannot name a model; use ASCII letters, digits and _ . -")
    for folder in (repository, repository / name):
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder} is a file; name the folder of a model repository")


def add_to_repository(
    repository: Path, name: str, file: Path, info: ModelInfo, settings: ExportSettings
) -> Path:
    """Add a model, or its next version, to a model repository; return the folder of the version.

    By default the server serves the newest version. Other models and earlier versions stay; the config is
    replaced, as it has to fit the version that is served.

    Args:
        repository: created if it does not exist.
        file: an .onnx file, or a plan of TensorRT.

    Raises:
        UserError: the repository cannot be written.
    """
    check_repository(repository, name)
    is_engine = file.suffix == ".engine"
    info = dataclasses.replace(info, io=settings.io_for(info))
    version = str(max(_versions(repository / name), default=0) + 1)
    with staged_folder(repository / name) as staging:
        write_atomically(staging / version / f"model.{'plan' if is_engine else 'onnx'}", file.read_bytes())
        config = config_text(name, info, settings, is_engine=is_engine)
        write_atomically(staging / CONFIG, config.encode())
    return repository / name / version


def config_text(name: str, info: ModelInfo, settings: ExportSettings, *, is_engine: bool) -> str:
    """Return the config.pbtxt of a model.

    A dynamic input takes up to `settings.batch` tiles, gathered from requests by the dynamic batcher; an
    input of fixed shape is served as it is (max_batch_size 0). ONNX of fixed shape gets the TensorRT
    accelerator; dynamic ONNX does not, since TensorRT would build again for every size.

    Args:
        info: of the served file; stored in the parameter `n2b`, for clients that cut tiles.
    """
    tile_px = settings.tile_px
    dims = [-1, -1, CHANNELS] if settings.dynamic else [settings.batch, tile_px, tile_px, CHANNELS]
    tensor = f"data_type: {_DATA_TYPES[info.io]}, dims: [ {', '.join(map(str, dims))} ]"
    lines = [
        "# Written by n2b-export. Tensors are N x H x W x 3, RGB: uint8 in 0..255, or float32 in [0, 1].",
        f"name: {_quoted(name)}",
        f"platform: {_quoted('tensorrt_plan' if is_engine else 'onnxruntime_onnx')}",
        f"max_batch_size: {settings.batch if settings.dynamic else 0}",
        f"input [ {{ name: {_quoted(IMAGE)}, {tensor} }} ]",
        f"output [ {{ name: {_quoted(DENOISED)}, {tensor} }} ]",
        f"instance_group [ {{ count: 1, kind: {'KIND_GPU' if is_engine else 'KIND_AUTO'} }} ]",
    ]
    if settings.dynamic and settings.batch > 1:
        lines += _dynamic_batching(settings.batch, is_engine=is_engine)
    if not is_engine and not settings.dynamic:
        lines += _tensorrt_accelerator(info.precision, settings.workspace_gib)
    lines.append(
        f"parameters [ {{ key: {_quoted(METADATA_KEY)}, "
        f"value: {{ string_value: {_quoted(info.to_json())} }} }} ]"
    )
    return "\n".join(lines) + "\n"


def _dynamic_batching(batch: int, *, is_engine: bool) -> list[str]:
    # only engines prefer a size: their kernels are chosen for it
    preferred = [f"  preferred_batch_size: [ {batch} ]"] if is_engine else []
    return ["dynamic_batching {", *preferred, f"  max_queue_delay_microseconds: {QUEUE_DELAY_US}", "}"]


def _tensorrt_accelerator(precision: str, workspace_gib: float | None) -> list[str]:
    workspace = WORKSPACE_BYTES if workspace_gib is None else int(workspace_gib * 2**30)
    parameters = {"precision_mode": _PRECISION_MODES[precision], "max_workspace_size_bytes": str(workspace)}
    return [
        "optimization { execution_accelerators { gpu_execution_accelerator [ {",
        '  name: "tensorrt"',
        *(f"  parameters {{ key: {_quoted(k)}, value: {_quoted(v)} }}" for k, v in parameters.items()),
        "} ] } }",
    ]


def _quoted(text: str) -> str:
    """Return a string literal; JSON's escapes of ASCII text are also protobuf's."""
    return json.dumps(text)


def _versions(model: Path) -> list[int]:
    """Return the versions of a model in its folder."""
    names = [path.name for path in model.iterdir()] if model.is_dir() else []
    return [int(name) for name in names if re.fullmatch("[1-9][0-9]*", name)]
