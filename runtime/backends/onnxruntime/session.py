"""Open a session of ONNX Runtime on the requested device."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from ...errors import DeviceError, EnvironmentFault, MissingPackageError, ModelError, OutOfMemory, shorten
from ...system.memory import usable_cores
from ...system.packages import install_hint, require
from ..devices import ACCELERATORS, parse_device
from ..graph_operators import check_operators
from .arm_bf16 import multiply_in_bf16
from .providers import (
    CPU,
    CUDA,
    PROVIDERS,
    TENSORRT,
    accelerator_provider,
    add_rtx,
    cuda_provider,
    tensorrt_provider,
)

_logger = logging.getLogger(__name__)

ON_CPU_OR_CUDA = "onnxruntime"
ON_TENSORRT, ON_RTX = "onnxruntime-tensorrt", "onnxruntime-rtx"
_NAMES = {"dml": "DirectML", "coreml": "CoreML"}
_ACCELERATOR_HINTS = {
    "dml": "pip install onnxruntime-directml, under Windows",
    "coreml": "it is in those for macOS",
}
_FATAL_ONLY = 4  # log severity: errors are raised as exceptions
# Words of the arenas, cuDNN, CUDA and C++
_OUT_OF_MEMORY = (
    "allocate memory", "out of memory", "bad_alloc", "bad allocation", "ALLOC_FAILED", "AllocateRawInternal",
    "smaller than requested bytes",
)  # fmt: skip


def open_on_cpu_or_cuda(
    model: Path, device: str, *, strict: bool, max_memory_mb: float | None, bf16: bool = False
) -> tuple[Any, str]:
    """Open a session on CUDA if requested, or available with "auto", else on the CPU; return its device too.

    DirectML and CoreML are used on request only.

    Args:
        bf16: let the CPU, a 64-bit Arm, multiply in BF16.

    Raises:
        ModelError: the file is missing or damaged.
        DeviceError: `strict`, and the requested CUDA is not available.
    """
    ort = load()
    kind, index = parse_device(device)
    if kind in ACCELERATORS:
        return _open_on_accelerator(ort, model, device, strict=strict)
    has_cuda = CUDA in ort.get_available_providers()
    if kind == "cpu" or (kind == "auto" and not has_cuda):
        options = _options(ort)
        if bf16:
            multiply_in_bf16(options)
        return _create(ort, model, options, [CPU]), "cpu"
    if bf16:
        raise DeviceError("BF16 is for CPUs; give --device cpu, or leave --precision out")
    reason = built_without("CUDA")
    if has_cuda:
        session = _create(ort, model, _options(ort), [cuda_provider(index, max_memory_mb), CPU])
        if CUDA in session.get_providers():
            return session, f"cuda:{index}"
        reason = "ONNX Runtime cannot start CUDA: it needs an NVIDIA driver, CUDA and cuDNN"
    if strict and kind == "cuda":
        raise DeviceError(reason)
    _logger.warning(f"using the CPU, since {reason}")
    return _create(ort, model, _options(ort), [CPU]), "cpu"


def _open_on_accelerator(ort: Any, model: Path, device: str, *, strict: bool) -> tuple[Any, str]:
    kind, index = parse_device(device)
    name = _NAMES[kind]
    failure: ModelError | None = None
    if PROVIDERS[kind] not in ort.get_available_providers():
        reason = f"this ONNX Runtime was built without {name}: {_ACCELERATOR_HINTS[kind]}"
    else:
        reason = f"ONNX Runtime cannot start {name}; is there a device and a driver for it?"
        try:
            session = _create(ort, model, _options(ort), [accelerator_provider(kind, index), CPU])
            if PROVIDERS[kind] in session.get_providers():
                return session, f"{kind}:{index}" if kind == "dml" else kind
        except ModelError as error:  # of the provider, or the file is damaged: the CPU shows which
            failure = error
    session = _create(ort, model, _options(ort), [CPU])
    if failure is not None:
        reason = f"ONNX Runtime cannot run {model.name} by {name}: {shorten(failure, 160)}"
    if strict:
        raise DeviceError(reason)
    _logger.warning(f"using the CPU, since {reason}")
    return session, "cpu"


def available_accelerators() -> list[str]:
    """Return which of "dml" and "coreml" the installed ONNX Runtime was built with."""
    try:
        providers = load().get_available_providers()
    except MissingPackageError:
        return []
    return [kind for kind in ACCELERATORS if PROVIDERS[kind] in providers]


def open_on_tensorrt(
    model: Path, device: str, *, precision: str, max_memory_mb: float | None
) -> tuple[Any, str]:
    """Open a session on TensorRT, with CUDA for other layers; return its device too.

    Raises:
        ModelError: the file is missing or damaged.
        DeviceError: TensorRT or the GPU is missing.
    """
    ort = load()
    index = _gpu(device, ON_TENSORRT)
    if TENSORRT not in ort.get_available_providers():
        raise DeviceError(built_without("TensorRT"))
    providers = [tensorrt_provider(index, precision, max_memory_mb), cuda_provider(index, max_memory_mb), CPU]
    session = _create(ort, model, _options(ort), providers)
    if TENSORRT not in session.get_providers():
        raise DeviceError("ONNX Runtime cannot start TensorRT: it needs an NVIDIA driver, CUDA and TensorRT")
    return session, f"cuda:{index}"


def open_on_rtx(model: Path, device: str) -> tuple[Any, str]:
    """Open a session on TensorRT-RTX; return its device too.

    Raises:
        ModelError: the file is missing or damaged.
        MissingPackageError: the plug-in is not installed.
        DeviceError: the GPU is missing.
    """
    ort = load()
    index = _gpu(device, ON_RTX)
    options = _options(ort)
    add_rtx(ort, options, index)
    return _create(ort, model, options, None), f"cuda:{index}"


def built_without(provider: str) -> str:
    """Return the message for an ONNX Runtime that lacks "CUDA" or "TensorRT"."""
    return f"this ONNX Runtime was built without {provider}: {install_hint('onnxruntime-gpu', 'gpu')}"


def has_cuda() -> bool:
    """Return whether ONNX Runtime is installed and was built with CUDA."""
    try:
        return CUDA in load().get_available_providers()
    except MissingPackageError:
        return False


def load() -> Any:
    """Return the module of ONNX Runtime.

    Raises:
        MissingPackageError: it is not installed or cannot be loaded.
    """
    return require("onnxruntime", extra="cpu")


def fault_of(error: Exception, device: str, shape: tuple[int, ...]) -> EnvironmentFault:
    """Return a failed run's error as OutOfMemory or EnvironmentFault."""
    if _is_out_of_memory(error):
        return OutOfMemory(device, shape)
    return EnvironmentFault(f"ONNX Runtime failed on {device}: {_one_line(error)}")


def _gpu(device: str, backend: str) -> int:
    kind, index = parse_device(device)
    if kind in ("cpu", *ACCELERATORS):
        raise DeviceError(f"{backend} runs on an NVIDIA GPU only; on the CPU use onnxruntime or openvino")
    return index


def _options(ort: Any) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    # By default ONNX Runtime starts and pins a thread per core, whatever the container's share.
    options.intra_op_num_threads = usable_cores()
    # The arena keeps memory between runs, which gives a fifth of the speed. Memory patterns would add a block
    # per tile size, half as much memory again, and gain nothing.
    options.enable_mem_pattern = False
    return options


def _create(ort: Any, model: Path, options: Any, providers: list[Any] | None) -> Any:
    if not model.is_file():
        raise ModelError(f"there is no model {model}")
    check_operators(model)
    try:
        return ort.InferenceSession(str(model), options, providers=providers)
    except Exception as error:  # the classes of ONNX Runtime's errors have no common base
        if _is_out_of_memory(error):
            raise EnvironmentFault(f"not enough memory to load {model}; free some") from error
        raise ModelError(
            f"{model} cannot be loaded: {_one_line(error)}; it is damaged, or needs a newer ONNX Runtime"
        ) from error


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY)


def _one_line(error: Exception) -> str:
    return shorten(error)
