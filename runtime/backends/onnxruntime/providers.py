"""Configure the execution providers of ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import DeviceError, MissingPackageError, shorten
from ...system.memory import cache_folder
from ...system.packages import require

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
PROVIDERS = {"dml": "DmlExecutionProvider", "coreml": "CoreMLExecutionProvider"}  # by device
RTX = "NvTensorRTRTXExecutionProvider"
_RTX_PACKAGE, _RTX_MODULE = "onnxruntime-ep-nv-tensorrt-rtx", "onnxruntime_ep_nv_tensorrt_rtx"


def cuda_provider(index: int, max_memory_mb: float | None) -> tuple[str, dict[str, Any]]:
    """Return CUDA on one GPU, and its options.

    Args:
        max_memory_mb: limit of its arena, in 10⁶ bytes; None: no limit.
    """
    options: dict[str, Any] = {
        "device_id": index,
        # A search over all algorithms would be repeated for each new tile size.
        "cudnn_conv_algo_search": "HEURISTIC",
        "use_tf32": 0,  # FP32 stays FP32
        # The other strategy doubles the arena each time it grows.
        "arena_extend_strategy": "kSameAsRequested",
    }
    if max_memory_mb is not None:
        options["gpu_mem_limit"] = int(max_memory_mb * 1e6)
    return CUDA, options


def tensorrt_provider(index: int, precision: str, max_memory_mb: float | None) -> tuple[str, dict[str, Any]]:
    """Return TensorRT on one GPU, and its options; engines and timings are cached.

    Args:
        precision: of the file, "fp32", "fp16" or "int8". FP32 stays FP32; an INT8 file has FP16 layers.
        max_memory_mb: limit of the workspace, in 10⁶ bytes; None: TensorRT's default.
    """
    folder = _make_folder(cache_folder() / "onnxruntime-tensorrt")
    options: dict[str, Any] = {
        "device_id": index,
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": str(folder),
        "trt_fp16_enable": precision in ("fp16", "int8"),
        "trt_int8_enable": precision == "int8",
    }
    if max_memory_mb is not None:
        options["trt_max_workspace_size"] = int(max_memory_mb * 1e6)
    return TENSORRT, options


def accelerator_provider(kind: str, index: int) -> tuple[str, dict[str, Any]]:
    """Return DirectML on one GPU, or CoreML on a Mac's best device, and its options.

    Args:
        kind: "dml" or "coreml".
    """
    if kind == "dml":
        return PROVIDERS[kind], {"device_id": index}
    return PROVIDERS[kind], {"ModelFormat": "MLProgram", "MLComputeUnits": "ALL"}  # the format with FP32


def add_rtx(ort: Any, options: Any, index: int) -> None:
    """Add TensorRT-RTX, a plug-in that caches its compiled kernels, to the options of a session.

    Raises:
        MissingPackageError: the plug-in is not installed, or ONNX Runtime is too old for it.
        DeviceError: it cannot start, or finds no such GPU.
    """
    plugin = require(_RTX_MODULE, package=_RTX_PACKAGE)
    if not hasattr(ort, "register_execution_provider_library"):
        raise MissingPackageError(
            "onnxruntime>=1.24", reason=f"{ort.__version__} has no plug-ins, which {_RTX_PACKAGE} is"
        )
    if not _rtx_devices(ort):  # registering it twice is an error
        try:
            ort.register_execution_provider_library(RTX, plugin.get_library_path())
        except Exception as error:  # the classes of ONNX Runtime's errors have no common base
            raise DeviceError(
                f"{_RTX_PACKAGE} cannot start: {shorten(error)}; it needs a GPU and its driver"
            ) from error
    devices = _rtx_devices(ort)
    if index >= len(devices):
        raise DeviceError(f"{_RTX_PACKAGE} finds no GPU cuda:{index}; it finds {len(devices)}")
    folder = _make_folder(cache_folder() / "onnxruntime-rtx")
    options.add_provider_for_devices([devices[index]], {"nv_runtime_cache_path": str(folder)})


def _rtx_devices(ort: Any) -> list[Any]:
    return [device for device in ort.get_ep_devices() if device.ep_name == RTX]


def _make_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DeviceError(
            f"cannot make the folder {folder} for engines: {error}; set XDG_CACHE_HOME"
        ) from error
    return folder
