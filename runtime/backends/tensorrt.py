"""TensorRT (10.0 and later) and TensorRT-RTX: engines on an NVIDIA GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..artifact import ModelInfo, sha256_of_file
from ..cuda import Buffer, Cuda
from ..errors import DeviceError, ModelError, StaleEngineError
from ..flavours import FLAVOURS, load
from ..gpu import Gpu, find_gpu
from . import ASSUMED_BYTES_PER_PX, INPUT, OUTPUT, InputShape, check_graph, check_info
from .engine_match import Here, difference, onnx_beside, rebuild_arguments
from .engine_rebuild import rebuild_command
from .tensorrt_kernels import Kernels, kernels_path


class TensorRTBackend:
    """An engine that n2b-export built, with its description `<engine>.json` beside it.

    Of an engine that takes a range of tile sizes, the one that it was tuned for is used. Results lie in
    memory that the next `run` overwrites.

    Args:
        model: the engine.
        device_index: which GPU.

    Raises:
        ModelError: the engine or its description is missing or damaged.
        StaleEngineError: the engine was built for another GPU, TensorRT or ONNX file than is here.
        MissingPackageError: the engine's flavour of TensorRT, or cuda-bindings, is not installed.
        DeviceError: there is no GPU, or it has failed.
    """

    def __init__(self, model: Path, *, device_index: int = 0) -> None:
        self.model = model
        self.info = _read_description(model)
        self.name = self.info.engine["flavour"]
        self.device = f"cuda:{device_index}"
        trt = load(self.name)
        gpu = find_gpu(device_index)
        _check_fits(model, self.info, trt.__version__, gpu)
        self._cuda = Cuda(device_index)
        self._runtime = trt.Runtime(trt.Logger(trt.Logger.INTERNAL_ERROR))  # has to outlive the engine
        if self.info.engine.get("version_compat"):
            self._runtime.engine_host_code_allowed = True  # such an engine brings its own runtime
        if isinstance(core := self.info.engine.get("dla"), int):
            self._runtime.DLA_core = core
        self._engine = self._runtime.deserialize_cuda_engine(model.read_bytes())
        if self._engine is None:
            raise _stale(model, self.info, f"{self.name} {trt.__version__} cannot load it")
        self.shape, io = _read_contract(trt, self._engine, model)
        check_info(self.info, self.shape, io, model)
        self._kernels: Kernels | None = None
        if self.name == "tensorrt-rtx" and gpu is not None:
            self._kernels = Kernels(self._engine, kernels_path(model, trt.__version__, gpu))
            self._context: Any = self._kernels.create_context(self._engine)
        else:
            self._context = self._engine.create_execution_context()
        if self._context is None:
            raise DeviceError(f"{self.name} cannot start {model}: the GPU lacks memory; free some")
        self._buffers: dict[str, Buffer] = {}

    def run(self, batch: np.ndarray) -> np.ndarray:
        """See Backend.run."""
        self._cuda.use_device()
        source, result = (self._buffer(name, batch.nbytes) for name in (INPUT, OUTPUT))
        np.copyto(source.host.view(batch.dtype).reshape(batch.shape), batch)
        if not self._context.set_input_shape(INPUT, tuple(batch.shape)):
            raise ModelError(f"{self.model} does not take a batch of shape {batch.shape}")
        self._context.set_tensor_address(INPUT, source.device_address)
        self._context.set_tensor_address(OUTPUT, result.device_address)
        self._cuda.copy_to_device(source)
        if not self._context.execute_async_v3(self._cuda.stream):
            raise DeviceError(f"{self.name} failed to run {self.model} on {self.device}")
        self._cuda.copy_to_host(result)
        self._cuda.synchronise()
        return result.host.view(batch.dtype).reshape(batch.shape)

    def measure_bytes_per_px(self) -> float:
        """See Backend.measure_bytes_per_px; assumed: the engine decides the tile's size, not the memory."""
        return ASSUMED_BYTES_PER_PX

    def close(self) -> None:
        """See Backend.close."""
        self._cuda.use_device()
        for buffer in self._buffers.values():
            self._cuda.free(buffer)
        self._buffers.clear()
        if self._kernels is not None:
            self._kernels.save()
        self._context = self._kernels = self._engine = self._runtime = None
        self._cuda.close()

    def _buffer(self, name: str, size: int) -> Buffer:
        buffer = self._buffers.get(name)
        if buffer is not None and buffer.host.nbytes == size:
            return buffer
        if buffer is not None:
            self._cuda.free(self._buffers.pop(name))
        self._buffers[name] = self._cuda.allocate(size)
        return self._buffers[name]


def _read_description(model: Path) -> ModelInfo:
    beside = model.with_name(f"{model.name}.json")
    try:
        text = beside.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{beside} describes the engine and cannot be read; use n2b-export") from error
    info = ModelInfo.from_json(text, source=str(beside))
    if info.engine.get("flavour") not in tuple(FLAVOURS):  # of any type, so not in a dict
        raise ModelError(f"{beside} describes no engine of {' or '.join(FLAVOURS)}; build it with n2b-export")
    return info


def _read_contract(trt: Any, engine: Any, model: Path) -> tuple[InputShape, str]:
    """What the engine takes, when its input and output are those that n2b-export makes."""
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
    tensors = {name: (_dtype(trt, engine, name), list(engine.get_tensor_shape(name))) for name in names}
    io = check_graph(
        {name: tensors[name] for name in inputs},
        {name: tensors[name] for name in names if name not in inputs},
        model,
    )
    batch, height, width, _ = tensors[INPUT][1]
    _, optimum, largest = (list(shape) for shape in engine.get_tensor_profile_shape(INPUT, 0))
    return InputShape(
        batch=batch if batch > 0 else None,
        height=height if height > 0 else optimum[1],
        width=width if width > 0 else optimum[2],
        largest_batch=largest[0],
    ), io


def _dtype(trt: Any, engine: Any, name: str) -> str:
    names = {trt.DataType.UINT8: "uint8", trt.DataType.FLOAT: "float32"}
    dtype = engine.get_tensor_dtype(name)
    return names.get(dtype, str(dtype))


def _check_fits(model: Path, info: ModelInfo, version: str, gpu: Gpu | None) -> None:
    """Raise StaleEngineError where an engine's description says that it does not run here."""
    onnx = onnx_beside(model, info)
    sha256 = sha256_of_file(onnx) if onnx is not None and onnx.is_file() else None
    found = difference(info.engine, Here(version, gpu, sha256))
    if found is not None:
        raise _stale(model, info, found)


def _stale(model: Path, info: ModelInfo, reason: str) -> StaleEngineError:
    """The error that says why an engine does not run here and how to build it again."""
    onnx = onnx_beside(model, info)
    arguments = None if onnx is None else rebuild_arguments(model, onnx, info.engine)
    advice = "build it here with n2b-export"
    if onnx is not None and arguments is not None:
        command = rebuild_command(arguments)
        advice = f"build it again: {command}"
        if not onnx.is_file():
            advice, arguments = f"put {onnx.name} beside it, then {command}", None
    return StaleEngineError(f"{model} does not fit: {reason}; {advice}", reason, arguments)
