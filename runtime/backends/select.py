"""Select the backend that runs a model."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal, get_args

from ..cuda import check_api
from ..errors import DeviceError, EnvironmentFault, ModelError, StaleEngineError, UserError
from ..model_files import ModelFiles
from ..system.gpu import find_gpu
from .devices import parse_device
from .onnx_request import CPU_LIBRARIES, OnnxRequest, check_precision, open_onnx
from .protocol import PRECISIONS, Backend, PrecisionChoice
from .triton.served import ServedModel

_logger = logging.getLogger(__name__)

BackendName = Literal[
    "auto", "onnxruntime", "openvino", "tensorrt", "onnxruntime-tensorrt", "onnxruntime-rtx", "triton"
]  # fmt: skip
BACKENDS: tuple[BackendName, ...] = get_args(BackendName)
Rebuild = Literal["auto", "never"]
REBUILD: tuple[Rebuild, ...] = get_args(Rebuild)


def open_backend(
    files: ModelFiles,
    *,
    backend: str = "auto",
    device: str = "auto",
    strict: bool = False,
    rebuild: str = "never",
    cuda_api: str = "auto",
    max_memory_mb: float | None = None,
    precision: PrecisionChoice = "auto",
    fast: bool = False,
    served: ServedModel | None = None,
) -> Backend:
    """Load a model with the library that runs it best.

    `auto` takes an engine that runs here; else the ONNX file, by ONNX Runtime on CUDA if both are available,
    else on the CPU by OpenVINO or ONNX Runtime, whichever is faster. The backend's `passed_over` has the
    reasons against the others. If a request cannot be met, the next best is used and a warning is logged;
    with `strict` it is an error.

    Args:
        backend, device, strict, rebuild, cuda_api, precision, fast: as of `Denoiser`.
        max_memory_mb: limit of ONNX Runtime's GPU memory, in 10⁶ bytes; None: no limit.
        served: with "triton", the model of a server, in place of files.

    Raises:
        UserError: there is no such backend, device or CUDA binding.
        ModelError: the model is damaged, or missing in the form that the backend needs.
        MissingPackageError: the library is not installed.
        DeviceError: the device is missing.
    """
    _check_choices(backend, rebuild, precision, fast=fast, is_served=served is not None)
    parse_device(device)
    check_api(cuda_api)
    if served is not None:
        from .triton.backend import TritonBackend

        return TritonBackend(served)
    if backend == "tensorrt" or (backend == "auto" and not files.onnx):
        if files.engine is None:
            raise ModelError(f"tensorrt needs an engine: n2b-export {files.onnx} builds one")
        return check_precision(_open_engine(files.engine, device, rebuild, cuda_api), precision)
    if files.onnx is None:
        raise ModelError(f"{backend} needs an .onnx file, and {files.engine} is an engine")
    onnx = OnnxRequest(files, device, strict, max_memory_mb, precision, fast)
    if backend != "auto":
        return _open_named(onnx, backend)
    passed_over = []
    if files.engine and parse_device(device)[0] in ("auto", "cuda"):
        try:
            return check_precision(_open_engine(files.engine, device, rebuild, cuda_api), precision)
        except (EnvironmentFault, ModelError) as error:
            if strict:
                raise
            passed_over.append(f"tensorrt: {error}")
            _logger.warning(f"using {files.onnx}, since {error}")
    opened = _open_best(onnx)
    opened.passed_over = (*passed_over, *opened.passed_over)
    return opened


def _check_choices(backend: str, rebuild: str, precision: str, *, fast: bool, is_served: bool) -> None:
    if backend not in BACKENDS:
        raise UserError(f"there is no backend '{backend}'; there are {', '.join(BACKENDS)}")
    if rebuild not in REBUILD:
        raise UserError(f"an engine is rebuilt {' or '.join(REBUILD)}, not '{rebuild}'")
    if precision not in PRECISIONS:
        raise UserError(f"there is no precision '{precision}'; there are {', '.join(PRECISIONS)}")
    if fast and precision != "auto":
        raise UserError(
            f"the fastest form has a precision of its own; leave out --fast, or --precision {precision}"
        )
    if is_served and (fast or precision != "auto"):
        raise UserError("a Triton server decides the precision; leave out --precision and --fast")


def _open_best(onnx: OnnxRequest) -> Backend:
    """Open an ONNX file on CUDA, else by DirectML or CoreML if faster than the CPU, else on the CPU."""
    from .onnxruntime.session import built_without, has_cuda
    from .select_accelerator import open_fastest_device
    from .select_cpu import open_fastest

    kind, index = parse_device(onnx.device)
    if kind == "cpu":
        return open_fastest(onnx)
    if kind == "auto" and find_gpu(index) is None:
        return open_fastest_device(onnx)
    if kind == "auto" and not has_cuda():
        backend = open_fastest_device(onnx)
        backend.passed_over = (f"cuda: {built_without('CUDA')}", *backend.passed_over)
        return backend
    if onnx.precision in ("bf16", "int8"):
        raise DeviceError(
            f"{onnx.precision} on a GPU needs an engine, which n2b-export builds; or give --device cpu"
        )
    return _open_named(onnx, "onnxruntime")


def _open_named(onnx: OnnxRequest, name: str) -> Backend:
    """Open an ONNX file by a library of the user's choice: with `fast`, its fastest form in it."""
    if name in CPU_LIBRARIES and onnx.fast and parse_device(onnx.device)[0] in ("auto", "cpu"):
        from .select_cpu import open_fastest

        return open_fastest(onnx, (name,))
    return open_onnx(onnx.form(), name, onnx)


def _open_engine(path: Path, device: str, rebuild: str, cuda_api: str) -> Backend:
    from .tensorrt.backend import TensorRTBackend
    from .tensorrt.engine_rebuild import run_export

    kind, index = parse_device(device)
    if kind not in ("auto", "cuda"):
        raise DeviceError(f"{path} runs on an NVIDIA GPU only; for {device} name the .onnx file")
    try:
        return TensorRTBackend(path, device_index=index, cuda_api=cuda_api)
    except StaleEngineError as error:
        if rebuild == "never" or error.arguments is None:
            raise
        run_export(path, error.arguments)
        _logger.warning(f"{path} was rebuilt, since {error.reason}")
    return TensorRTBackend(path, device_index=index, cuda_api=cuda_api)
