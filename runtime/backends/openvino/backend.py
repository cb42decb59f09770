"""Run an ONNX file by OpenVINO on a CPU, in BF16 if the CPU has it and the model loses little by it."""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DeviceError, EnvironmentFault, ModelError, OutOfMemory, shorten
from ...model_info import METADATA_KEY, ModelInfo
from ...system.memory import release_free_memory, usable_cores
from ...system.packages import require
from ..devices import parse_device
from ..graph_contract import check_graph, check_info, check_result, parse_info, precision_of
from ..graph_operators import check_operators
from ..memory_probe import measure_bytes_per_px
from ..protocol import ASSUMED_BYTES_PER_PX, AUTO_LOSS_DB, InputShape, Precision, PrecisionChoice
from .precision import bf16_loss_db, has_bf16

_DTYPES = {"u8": "uint8", "f32": "float32"}
_DESCRIPTION = ["framework", METADATA_KEY]  # path of an ONNX file's metadata
_CACHED_SHAPES = 2  # compiled networks: for the tiles, and for a last, smaller batch
_SMALL_PX = 128
_OUT_OF_MEMORY = ("Failed to allocate", "bad_alloc", "bad allocation", "could not allocate", "out of memory")

_used_in: set[int] = set()  # processes


class OpenVinoBackend:
    """An ONNX file in OpenVINO. The next `run` overwrites the result of the previous one.

    The network is compiled for each batch shape, since one network for all shapes is slower; the last two
    are kept.

    Args:
        model: an ONNX file that n2b-export made, except INT8 files for TensorRT.
        precision: of layers in floats: "fp32", "bf16", or, with "auto" and "int8", BF16 if the CPU has it and
            the model loses at most `AUTO_LOSS_DB` by it.

    Raises:
        ModelError: the file is missing, damaged, not a denoiser of n2b, or computed wrongly by OpenVINO.
        MissingPackageError: OpenVINO is not installed or cannot be loaded.
        DeviceError: another device was requested, or BF16 on a CPU without it, or this process was forked
            from one that used OpenVINO.
    """

    name = "openvino"
    device = "cpu"

    def __init__(self, model: Path, *, device: str = "auto", precision: PrecisionChoice = "auto") -> None:
        if parse_device(device)[0] not in ("auto", "cpu"):
            raise DeviceError(f"openvino runs on the CPU only, not on {device}; use onnxruntime or tensorrt")
        self.model = model
        self.passed_over: tuple[str, ...] = ()
        _check_process()
        self._core: Any = require("openvino", extra="openvino").Core()
        self._network: Any = _read(self._core, model)
        self.shape, io = _read_contract(self._network, model)
        self.info = _read_info(self._network, model)
        check_info(self.info, self.shape, io, model)
        _check_supported(self.info, model)
        self._requests: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        self._bytes_per_px: float | None = None
        self._hint = "f32"
        self.precision: Precision = "fp32" if precision_of(self.info) == "fp16" else precision_of(self.info)
        if precision != "fp32" and self._takes_bf16(precision):
            self._hint = "bf16"
            self.precision = "int8, bf16" if self.precision == "int8" else "bf16"

    def run(self, batch: np.ndarray) -> np.ndarray:
        try:
            return self._request(batch.shape).infer([batch], share_inputs=True, share_outputs=True)[0]
        except (RuntimeError, MemoryError) as error:
            self._forget(batch.shape)
            if isinstance(error, MemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY):
                raise OutOfMemory(self.device, batch.shape) from error
            raise EnvironmentFault(f"OpenVINO failed: {shorten(error)}") from error

    def measure_bytes_per_px(self) -> float:
        """See Backend.measure_bytes_per_px; under Linux measured by what a larger tile adds to a small one.

        A compiled network takes about 40 MB more, whatever the tile.
        """
        if self._bytes_per_px is None:
            self._requests.clear()
            self._bytes_per_px = measure_bytes_per_px(self, before_px=_SMALL_PX) or ASSUMED_BYTES_PER_PX
            self._requests.clear()
        return self._bytes_per_px

    def close(self) -> None:
        self._requests.clear()
        self._network = self._core = None
        release_free_memory()

    def _takes_bf16(self, precision: PrecisionChoice) -> bool:
        if not has_bf16(self._core):
            if precision == "bf16":
                raise DeviceError("this CPU does not compute in BF16; leave --precision out")
            return False
        if precision == "bf16":
            return True
        loss_db = bf16_loss_db(self, self._run_in)
        if loss_db <= AUTO_LOSS_DB:
            return True
        self.passed_over = (f"bf16: loses {loss_db:.2f} dB",)
        return False

    def _run_in(self, hint: str, batch: np.ndarray) -> np.ndarray:
        """Run a batch in another precision, "f32" or "bf16"; return a new array."""
        before, self._hint = self._hint, hint
        self._requests.clear()
        try:
            result = self.run(batch).copy()
            check_result(result, batch.shape, self.info.io, self.model)
            return result
        finally:
            self._hint = before
            self._requests.clear()

    def _request(self, shape: tuple[int, ...]) -> Any:
        if shape not in self._requests:
            while len(self._requests) >= _CACHED_SHAPES:
                self._requests.popitem(last=False)
            self._requests[shape] = self._compile(shape)
        self._requests.move_to_end(shape)
        return self._requests[shape]

    def _compile(self, shape: tuple[int, ...]) -> Any:
        network = self._network.clone()
        if network.is_dynamic():  # a fixed shape stays
            network.reshape(list(shape))
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": usable_cores(),
            "ENABLE_CPU_PINNING": False,  # other processes may run on the same cores
            "INFERENCE_PRECISION_HINT": self._hint,  # the default is BF16 wherever the CPU has it
        }
        return self._core.compile_model(network, "CPU", options).create_infer_request()

    def _forget(self, shape: tuple[int, ...]) -> None:
        self._requests.pop(shape, None)
        release_free_memory()


def _check_process() -> None:
    """Raise DeviceError where OpenVINO would wait for threads that fork() did not copy."""
    if _used_in and os.getpid() not in _used_in:
        raise DeviceError(
            "openvino does not work in a process forked from one that used it; start processes by spawn, or "
            "use onnxruntime"
        )
    _used_in.add(os.getpid())


def _read(core: Any, model: Path) -> Any:
    if not model.is_file():
        raise ModelError(f"there is no model {model}")
    check_operators(model)
    try:
        return core.read_model(str(model))
    except RuntimeError as error:
        raise ModelError(
            f"{model} cannot be loaded: {shorten(error)}; it is damaged, or needs a newer OpenVINO"
        ) from error


def _read_contract(network: Any, model: Path) -> tuple[InputShape, str]:
    inputs, outputs = (
        {port.any_name: (_dtype(port), _sides(port)) for port in ports}
        for ports in (network.inputs, network.outputs)
    )
    io = check_graph(inputs, outputs, model)
    batch, height, width, _ = next(iter(inputs.values()))[1]
    return InputShape(batch, height, width), io


def _dtype(port: Any) -> str:
    name: str = port.element_type.get_type_name()
    return _DTYPES.get(name, name)


def _sides(port: Any) -> list[int | None]:
    return [None if side.is_dynamic else side.get_length() for side in port.partial_shape]


def _read_info(network: Any, model: Path) -> ModelInfo:
    text = network.get_rt_info(_DESCRIPTION).astype(str) if network.has_rt_info(_DESCRIPTION) else None
    return parse_info(text, model)


def _check_supported(info: ModelInfo, model: Path) -> None:
    if info.precision == "int8":
        raise ModelError(
            f"OpenVINO computes {model} wrongly, an INT8 file for TensorRT; use the one for "
            "CPUs, model.int8-cpu.onnx, or onnxruntime"
        )
