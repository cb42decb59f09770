"""ONNX Runtime: any machine's CPU, or CUDA."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ..artifact import METADATA_KEY, ModelInfo
from ..errors import DeviceError, EnvironmentFault, MissingPackageError, ModelError
from ..machine import give_back_free_memory, resident_bytes, usable_cores
from . import ASSUMED_BYTES_PER_PX, INPUT, OUTPUT, InputShape, check_graph, check_info, parse_device

_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_DTYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}
_FATAL_ONLY = 4  # log severity: errors come as exceptions, and twice is once too often
_TRIAL_PX = 256


class OnnxRuntimeBackend:
    """An ONNX file in ONNX Runtime. Results are new arrays, which stay valid.

    Args:
        model: an ONNX file that n2b-export made.
        device: "auto", "cpu", "cuda" or "cuda:1"; auto is CUDA where this ONNX Runtime has it.
        strict: no CPU in place of CUDA that was asked for.

    Raises:
        ModelError: the file is missing, damaged, or not a denoiser of n2b.
        MissingPackageError: ONNX Runtime is not installed or cannot load.
        DeviceError: CUDA was asked for, is not there, and `strict`.
    """

    name = "onnxruntime"

    def __init__(self, model: Path, *, device: str = "auto", strict: bool = False) -> None:
        self.model = model
        self._session: Any
        self._session, self.device = _open_session(model, device, strict)
        try:
            self.shape, io = _read_contract(self._session, model)
            self.info = _read_info(self._session, model)
            check_info(self.info, self.shape, io, model)
        except BaseException:
            self.close()
            raise
        self._bytes_per_px: float | None = None

    def run(self, batch: np.ndarray) -> np.ndarray:
        """See Backend.run."""
        try:
            return self._session.run([OUTPUT], {INPUT: batch})[0]
        except Exception as error:  # the classes of ONNX Runtime's errors have no common base
            if "allocate memory" in str(error) or "out of memory" in str(error):
                raise EnvironmentFault(
                    f"out of memory over tiles of {batch.shape[1]}×{batch.shape[2]} px; "
                    "use a smaller --tile, or set --max-memory"
                ) from error
            raise EnvironmentFault(f"ONNX Runtime failed on {self.device}: {_one_line(error)}") from error

    def measure_bytes_per_px(self) -> float:
        """See Backend.measure_bytes_per_px; measured on the CPU, under Linux, by what the first run adds."""
        if self._bytes_per_px is None:
            self._bytes_per_px = self._measure() or ASSUMED_BYTES_PER_PX
        return self._bytes_per_px

    def close(self) -> None:
        """See Backend.close."""
        self._session = None
        give_back_free_memory()

    def _measure(self) -> float | None:
        give_back_free_memory()  # or the run would fill what is there already
        before = resident_bytes()
        if self.device != "cpu" or before is None:
            return None
        multiple = self.info.size_multiple_px
        side = -(-_TRIAL_PX // multiple) * multiple
        height, width = self.shape.tile_hw or (side, side)
        batch = np.zeros((self.shape.batch or 1, height, width, 3), self.info.io)
        result = self.run(batch)
        grown = (resident_bytes() or 0) - before - batch.nbytes - result.nbytes
        # Less than the tensors at the edges of the graph: the memory was there before, nothing was measured.
        return grown / (batch.size / 3) if grown > batch.nbytes else None


def _open_session(model: Path, device: str, strict: bool) -> tuple[Any, str]:
    ort = _load()
    kind, index = parse_device(device)
    wants_cuda = kind == "cuda" or (kind == "auto" and _CUDA in ort.get_available_providers())
    if not wants_cuda:
        return _create(ort, model, [_CPU]), "cpu"
    reason = "this ONNX Runtime was built without CUDA: pip install 'n2b[gpu]'"
    if _CUDA in ort.get_available_providers():
        # A search over all algorithms would be repeated for each new tile size; FP32 is not to become TF32.
        cuda = (_CUDA, {"device_id": index, "cudnn_conv_algo_search": "HEURISTIC", "use_tf32": 0})
        session = _create(ort, model, [cuda, _CPU])
        if _CUDA in session.get_providers():
            return session, f"cuda:{index}"
        reason = "ONNX Runtime cannot start CUDA: it needs an NVIDIA driver, CUDA and cuDNN"
    if strict and kind == "cuda":
        raise DeviceError(reason)
    warnings.warn(f"using the CPU, since {reason}", RuntimeWarning, stacklevel=2)
    return _create(ort, model, [_CPU]), "cpu"


def _load() -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise MissingPackageError("onnxruntime", extra="cpu") from error
    except ImportError as error:
        raise MissingPackageError("onnxruntime", extra="cpu", reason=str(error)) from error
    return onnxruntime


def _create(ort: Any, model: Path, providers: list[Any]) -> Any:
    if not model.is_file():
        raise ModelError(f"there is no model {model}")
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    # Left to itself, ONNX Runtime starts a thread for each core of the machine, whatever the container's
    # share of it, and pins it there.
    options.intra_op_num_threads = usable_cores()
    # The arena keeps memory between runs, which is a fifth of the speed. Its memory patterns are off: they
    # add one block for each tile size that comes up, half as much memory again, and gain nothing.
    options.enable_mem_pattern = False
    try:
        return ort.InferenceSession(str(model), options, providers=providers)
    except Exception as error:  # the classes of ONNX Runtime's errors have no common base
        raise ModelError(
            f"{model} cannot be loaded: {_one_line(error)}; it is damaged, or made for a newer ONNX Runtime"
        ) from error


def _read_contract(session: Any, model: Path) -> tuple[InputShape, str]:
    """The input's shape and dtype, when input and output are those that n2b-export makes."""
    inputs, outputs = (
        {tensor.name: (_DTYPES.get(str(tensor.type), str(tensor.type)), tensor.shape) for tensor in tensors}
        for tensors in (session.get_inputs(), session.get_outputs())
    )
    io = check_graph(inputs, outputs, model)
    batch, height, width = (side if isinstance(side, int) else None for side in inputs[INPUT][1][:3])
    return InputShape(batch, height, width), io


def _read_info(session: Any, model: Path) -> ModelInfo:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise ModelError(
            f"{model} does not say what it is (no '{METADATA_KEY}' in its metadata): use n2b-export"
        )
    return ModelInfo.from_json(text, source=str(model))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
