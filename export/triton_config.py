"""config.pbtxt: what a Triton Inference Server has to know of a model, in protobuf's text format.

The format is the server's ModelConfig; the choices are those that its documentation recommends.
"""

from __future__ import annotations

import json

from ..runtime.model_info import METADATA_KEY, ModelInfo
from .onnx.io_contract import DENOISED, IMAGE
from .settings import ExportSettings

CHANNELS = 3
# A batch of tiles takes several milliseconds: one more is little for whoever waits, and fills batches.
QUEUE_DELAY_US = 1000
WORKSPACE_BYTES = 2**30  # of the TensorRT inside of ONNX Runtime, unless --workspace says otherwise
_DATA_TYPES = {"uint8": "TYPE_UINT8", "float32": "TYPE_FP32"}
_PRECISION_MODES = {"fp32": "FP32", "fp16": "FP16"}


def config_text(name: str, info: ModelInfo, settings: ExportSettings, *, is_engine: bool) -> str:
    """The config.pbtxt of a model.

    An input of open batch takes up to `settings.batch` tiles, gathered from requests by the dynamic
    batcher; an input of fixed shape is served as it is (max_batch_size 0). ONNX of fixed shape gets the
    TensorRT accelerator; of open sizes not, since TensorRT would build anew for every size.

    Args:
        name: the model's, that of its folder.
        info: of the file that is served; goes into the parameter `n2b`, for clients that cut tiles.
        settings: what the file was exported with.
        is_engine: a TensorRT plan, else ONNX.
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
    # a preferred size only where one runs better than the others: an engine's kernels are chosen for it
    preferred = [f"  preferred_batch_size: [ {batch} ]"] if is_engine else []
    return ["dynamic_batching {", *preferred, f"  max_queue_delay_microseconds: {QUEUE_DELAY_US}", "}"]


def _tensorrt_accelerator(precision: str, workspace_gib: float | None) -> list[str]:
    workspace = WORKSPACE_BYTES if workspace_gib is None else int(workspace_gib * 2**30)
    parameters = {
        "precision_mode": _PRECISION_MODES[precision],
        "max_workspace_size_bytes": str(workspace),
    }
    return [
        "optimization { execution_accelerators { gpu_execution_accelerator [ {",
        '  name: "tensorrt"',
        *(f"  parameters {{ key: {_quoted(k)}, value: {_quoted(v)} }}" for k, v in parameters.items()),
        "} ] } }",
    ]


def _quoted(text: str) -> str:
    """A string literal; JSON's escapes of ASCII text are protobuf's too."""
    return json.dumps(text)
