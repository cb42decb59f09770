"""Run an engine by TensorRT (10.0 and later) or TensorRT-RTX on an NVIDIA GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...cuda import open_cuda
from ...errors import DeviceError, OutOfMemory, shorten
from ...system.gpu import find_gpu
from ...system.tensorrt import load
from ..graph_contract import IMAGE, check_graph, check_info, precision_of
from ..protocol import ASSUMED_BYTES_PER_PX, InputShape, Precision
from .engine_file import check_fits, read_description, stale
from .log import is_out_of_memory, tensorrt_logger
from .rtx_runtime_cache import RuntimeCache, runtime_cache_path
from .slots import Scratch, Slot

_DLA_CORES = 16  # more than any chip has


class TensorRTBackend:
    """An engine that n2b-export built, with its description `<engine>.json`; an OverlappedBackend.

    Of a range of tile sizes, the engine's optimum is used. `run` uses the first slot, and overwrites its
    previous result. An engine of TensorRT for one size runs as a CUDA graph from the second run on, if the
    CUDA binding has graphs; TensorRT-RTX captures graphs itself.

    Raises:
        ModelError: the engine or its description is missing or damaged.
        StaleEngineError: the engine was built for another GPU, TensorRT or ONNX file.
        MissingPackageError: the engine's flavour of TensorRT, or the CUDA binding, is not installed.
        DeviceError: there is no GPU, its memory is too small for the engine, or it failed.
    """

    slots = 2

    def __init__(self, model: Path, *, device_index: int = 0, cuda_api: str = "auto") -> None:
        self.model = model
        self.info = read_description(model)
        self.name = self.info.engine["flavour"]
        self.device = f"cuda:{device_index}"
        self.precision: Precision = precision_of(self.info)
        self.passed_over: tuple[str, ...] = ()
        trt = load(self.name)
        gpu = find_gpu(device_index)
        check_fits(model, self.info, trt.__version__, gpu)
        self._trt = trt
        self._runtime: Any = None
        self._engine: Any = None
        self._runtime_cache: RuntimeCache | None = None
        self._scratch: Scratch | None = None
        self._slots: dict[int, Slot] = {}
        self._last_started: Slot | None = None
        self._cuda = open_cuda(cuda_api, device_index)
        try:
            with self._cuda.current():
                self._log = tensorrt_logger(self.name)
                self._runtime = trt.Runtime(self._log)  # must outlive the engine
                self._load()
                self.shape, io = _read_contract(trt, self._engine, model)
                check_info(self.info, self.shape, io, model)
                if self.name == "tensorrt-rtx" and gpu is not None:
                    self._runtime_cache = RuntimeCache(
                        trt, self._engine, runtime_cache_path(model, trt.__version__, gpu)
                    )
                self._allocate()
        except BaseException:
            self.close()
            raise

    def run(self, batch: np.ndarray) -> np.ndarray:
        np.copyto(self.buffer(0, batch.shape), batch)
        self.start(0)
        return self.finish(0)

    def buffer(self, slot: int, shape: tuple[int, ...]) -> np.ndarray:
        with self._cuda.current():
            if slot not in self._slots and slot in range(self.slots):  # the second one at its first use
                self._slots[slot] = self._make_slot()
            try:
                return self._slot(slot, is_in_flight=False).reserve(tuple(shape))
            except MemoryError as error:
                raise OutOfMemory(self.device, shape) from error

    def start(self, slot: int) -> None:
        starting = self._slot(slot, is_in_flight=False)
        last = self._last_started
        with self._cuda.current():
            try:
                is_started = starting.start(after=None if last is None or last is starting else last.computed)
            except MemoryError as error:
                raise OutOfMemory(self.device, starting.shape) from error
            if not is_started:
                raise self._failure(starting.shape)
        self._last_started = starting

    def finish(self, slot: int) -> np.ndarray:
        with self._cuda.current():
            return self._slot(slot, is_in_flight=True).finish()

    def measure_bytes_per_px(self) -> float:
        """See Backend.measure_bytes_per_px; not measured: the engine determines the tile size."""
        return ASSUMED_BYTES_PER_PX

    def close(self) -> None:
        with self._cuda.current():
            for slot in self._slots.values():
                if slot.is_in_flight:
                    slot.finish()
            for slot in self._slots.values():
                slot.close()
            self._slots.clear()
            if self._runtime_cache is not None:
                self._runtime_cache.save()
            if self._scratch is not None:
                self._scratch.free()
            self._runtime_cache = self._scratch = self._engine = self._runtime = None
        self._cuda.close()

    def _load(self) -> None:
        if self.info.engine.get("version_compat"):
            self._runtime.engine_host_code_allowed = True  # such an engine contains its own runtime
        if isinstance(core := self.info.engine.get("dla"), int) and 0 <= core < _DLA_CORES:
            self._runtime.DLA_core = core
        self._engine = self._runtime.deserialize_cuda_engine(self.model.read_bytes())
        if self._engine is None:
            error = self._log.take_errors()
            if is_out_of_memory(error):
                raise self._out_of_memory()
            reason = f" ({shorten(error)})" if error else ""
            raise stale(self.model, self.info, f"{self.name} {self._trt.__version__} cannot load it{reason}")

    def _allocate(self) -> None:
        """Allocate scratch memory and the first slot, so that an engine that does not fit fails at once."""
        try:
            self._scratch = Scratch(self._cuda, self._engine)
        except MemoryError as error:
            raise self._out_of_memory() from error
        self._slots[0] = self._make_slot()

    def _slot(self, index: int, *, is_in_flight: bool) -> Slot:
        slot = self._slots.get(index)
        if slot is None or slot.is_in_flight != is_in_flight:
            state = (
                "cannot be finished: it was not started" if is_in_flight else "has no buffer, or is in flight"
            )
            raise RuntimeError(f"slot {index} {state}")
        return slot

    def _make_slot(self) -> Slot:
        assert self._scratch is not None
        trt = self._trt
        if self._runtime_cache is not None:
            context = self._runtime_cache.create_context(self._engine, user_managed=bool(self._scratch.size))
        elif self._scratch.size:
            context = self._engine.create_execution_context(
                trt.ExecutionContextAllocationStrategy.USER_MANAGED
            )
        else:
            context = self._engine.create_execution_context()
        if context is None:
            raise self._out_of_memory()
        self._scratch.lend_to(context)
        is_static = min(self._engine.get_tensor_shape(IMAGE)) > 0
        graphs = self._cuda.graphs if is_static and self.name == "tensorrt" else None
        return Slot(self._cuda, context, self.info.io, graphs=graphs)

    def _out_of_memory(self) -> DeviceError:
        return DeviceError(f"{self.name} cannot start {self.model}: {self.device} lacks memory; free some")

    def _failure(self, shape: tuple[int, ...]) -> OutOfMemory | DeviceError:
        error = self._log.take_errors()
        if is_out_of_memory(error):
            return OutOfMemory(self.device, shape)
        reason = f": {shorten(error)}" if error else ""  # of the first logger that TensorRT was given
        return DeviceError(f"{self.name} failed to run {self.model} on {self.device}{reason}")


def _read_contract(trt: Any, engine: Any, model: Path) -> tuple[InputShape, str]:
    """Return the input's shape and dtype; raise ModelError if the engine does not follow the contract."""
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
    tensors = {name: (_dtype(trt, engine, name), list(engine.get_tensor_shape(name))) for name in names}
    io = check_graph(
        {name: tensors[name] for name in inputs},
        {name: tensors[name] for name in names if name not in inputs},
        model,
    )
    batch, height, width, _ = tensors[IMAGE][1]
    _, optimum, largest = (list(shape) for shape in engine.get_tensor_profile_shape(IMAGE, 0))
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
