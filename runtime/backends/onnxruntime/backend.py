"""Run an ONNX file by ONNX Runtime: on a CPU, or a GPU by CUDA, TensorRT or TensorRT-RTX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DeviceError, ModelError
from ...model_info import METADATA_KEY, ModelInfo
from ...system.memory import release_free_memory
from ..graph_contract import DENOISED, IMAGE, check_graph, check_info, parse_info, precision_of
from ..memory_probe import measure_bytes_per_px
from ..protocol import ASSUMED_BYTES_PER_PX, InputShape, Precision, PrecisionChoice
from .session import (
    ON_CPU_OR_CUDA,
    ON_RTX,
    ON_TENSORRT,
    fault_of,
    open_on_cpu_or_cuda,
    open_on_rtx,
    open_on_tensorrt,
)

_DTYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}
_SHARE_USED = 0.5  # its arena doubles when it grows, so at least half of it is written to


class OnnxRuntimeBackend:
    """An ONNX file in ONNX Runtime. Results are new arrays that stay valid.

    Args:
        model: an ONNX file that n2b-export made.
        device: "auto", "cpu", "cuda" or "cuda:1"; auto is CUDA if this ONNX Runtime supports it.
        strict: do not replace a requested CUDA by the CPU.
        name: "onnxruntime", on the CPU or CUDA; or "onnxruntime-tensorrt" or "onnxruntime-rtx", which build
            an engine as they start and cache it, or its kernels, in the user's cache folder.
        max_memory_mb: limit of GPU memory, in 10⁶ bytes; None: no limit.
        precision: "bf16" multiplies in BF16 on a 64-bit Arm; any other is that of the file.

    Raises:
        ModelError: the file is missing, damaged, or not a denoiser of n2b.
        MissingPackageError: ONNX Runtime or its plug-in is not installed or cannot be loaded.
        DeviceError: a requested device cannot start.
    """

    def __init__(
        self,
        model: Path,
        *,
        device: str = "auto",
        strict: bool = False,
        name: str = ON_CPU_OR_CUDA,
        max_memory_mb: float | None = None,
        precision: PrecisionChoice = "auto",
    ) -> None:
        if precision == "bf16" and name != ON_CPU_OR_CUDA:
            raise DeviceError("BF16 is for CPUs; leave --precision out")
        self.model = model
        self.name = name
        self.passed_over: tuple[str, ...] = ()
        self._session: Any
        if name == ON_RTX:
            self._session, self.device = open_on_rtx(model, device)
        elif name == ON_TENSORRT:
            self._session, self.device = open_on_tensorrt(
                model, device, precision=_precision_of_file(model), max_memory_mb=max_memory_mb
            )
        else:
            self._session, self.device = open_on_cpu_or_cuda(
                model, device, strict=strict, max_memory_mb=max_memory_mb, bf16=precision == "bf16"
            )
        try:
            self.shape, io = _read_contract(self._session, model)
            self.info = _read_info(self._session, model)
            check_info(self.info, self.shape, io, model)
        except BaseException:
            self.close()
            raise
        self.precision: Precision = "bf16" if precision == "bf16" else precision_of(self.info)
        self._bytes_per_px: float | None = None

    def run(self, batch: np.ndarray) -> np.ndarray:
        try:
            return self._session.run([DENOISED], {IMAGE: batch})[0]
        except Exception as error:  # the classes of ONNX Runtime's errors have no common base
            raise fault_of(error, self.device, batch.shape) from error

    def measure_bytes_per_px(self) -> float:
        """See Backend.measure_bytes_per_px; measured on CPUs under Linux, by the first run."""
        if self._bytes_per_px is None:
            measured = measure_bytes_per_px(self, share_used=_SHARE_USED) if self.device == "cpu" else None
            self._bytes_per_px = measured or ASSUMED_BYTES_PER_PX
        return self._bytes_per_px

    def close(self) -> None:
        self._session = None
        release_free_memory()


def _read_contract(session: Any, model: Path) -> tuple[InputShape, str]:
    """Return the input's shape and dtype; raise ModelError if the graph does not follow the contract."""
    inputs, outputs = (
        {tensor.name: (_DTYPES.get(str(tensor.type), str(tensor.type)), tensor.shape) for tensor in tensors}
        for tensors in (session.get_inputs(), session.get_outputs())
    )
    io = check_graph(inputs, outputs, model)
    batch, height, width = (side if isinstance(side, int) else None for side in inputs[IMAGE][1][:3])
    return InputShape(batch, height, width), io


def _read_info(session: Any, model: Path) -> ModelInfo:
    try:
        text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    except UnicodeDecodeError as error:
        raise ModelError(f"{model}: its metadata is not UTF-8; export the model again") from error
    return parse_info(text, model)


def _precision_of_file(model: Path) -> str:
    """Return the precision in a file's description, which TensorRT needs before it opens the file."""
    session, _ = open_on_cpu_or_cuda(model, "cpu", strict=True, max_memory_mb=None)
    return precision_of(_read_info(session, model))
