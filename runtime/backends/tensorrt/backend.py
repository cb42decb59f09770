"""TensorRT (10.0 and later) and TensorRT-RTX: engines on an NVIDIA GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...cuda import AUTO, open_cuda
from ...errors import DeviceError, OutOfMemory, cut
from ...system.gpu import find_gpu
from ...system.tensorrt import load
from ..graph_contract import IMAGE, check_graph, check_info, precision_of
from ..protocol import ASSUMED_BYTES_PER_PX, InputShape
from .engine_file import check_fits, read_description, stale
from .log import is_out_of_memory, runtime_logger
from .rtx_runtime_cache import RuntimeCache, runtime_cache_path
from .slots import Scratch, Slot


class TensorRTBackend:
    """An engine that n2b-export built, with its description `<engine>.json` beside it; an OverlappedBackend.

    Of an engine that takes a range of tile sizes, the one that it was tuned for is used. `run` uses the first
    slot; its result lies in memory that the next `run` overwrites. An engine of TensorRT for one size runs as
    a CUDA graph from the second run on, where the CUDA api has graphs; TensorRT-RTX captures graphs itself.

    Args:
        model: the engine.
        device_index: which GPU.
        cuda_api: "auto", "pycuda" or "cuda-bindings".

    Raises:
        ModelError: the engine or its description is missing or damaged.
        StaleEngineError: the engine was built for another GPU, TensorRT or ONNX file than is here.
        MissingPackageError: the engine's flavour of TensorRT, or the CUDA api, is not installed.
        DeviceError: there is no GPU, its memory does not suffice for the engine, or it has failed.
    """

    slots = 2

    def __init__(self, model: Path, *, device_index: int = 0, cuda_api: str = AUTO) -> None:
        self.model = model
        self.info = read_description(model)
        self.name = self.info.engine["flavour"]
        self.device = f"cuda:{device_index}"
        self.precision = precision_of(self.info)
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
                self._log = runtime_logger(self.name)
                self._runtime = trt.Runtime(self._log)  # has to outlive the engine
                self._load()
                self.shape, io = _read_contract(trt, self._engine, model)
                check_info(self.info, self.shape, io, model)
                if self.name == "tensorrt-rtx" and gpu is not None:
                    self._runtime_cache = RuntimeCache(
                        trt, self._engine, runtime_cache_path(model, trt.__version__, gpu)
                    )
                self._make_room()
        except BaseException:
            self.close()
            raise

    def run(self, batch: np.ndarray) -> np.ndarray:
        """See Backend.run."""
        np.copyto(self.buffer(0, batch.shape), batch)
        self.start(0)
        return self.finish(0)

    def buffer(self, slot: int, shape: tuple[int, ...]) -> np.ndarray:
        """See OverlappedBackend.buffer."""
        with self._cuda.current():
            if slot not in self._slots and slot in range(self.slots):  # the second one when it is first used
                self._slots[slot] = self._make_slot()
            try:
                return self._slot(slot, is_under_way=False).reserve(tuple(shape))
            except MemoryError as error:
                raise OutOfMemory(self.device, shape) from error

    def start(self, slot: int) -> None:
        """See OverlappedBackend.start."""
        starting = self._slot(slot, is_under_way=False)
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
        """See OverlappedBackend.finish."""
        with self._cuda.current():
            return self._slot(slot, is_under_way=True).finish()

    def measure_bytes_per_px(self) -> float:
        """See Backend.measure_bytes_per_px; assumed: the engine decides the tile's size, not the memory."""
        return ASSUMED_BYTES_PER_PX

    def close(self) -> None:
        """See Backend.close."""
        with self._cuda.current():
            for slot in self._slots.values():
                if slot.is_under_way:
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
            self._runtime.engine_host_code_allowed = True  # such an engine brings its own runtime
        if isinstance(core := self.info.engine.get("dla"), int):
            self._runtime.DLA_core = core
        self._engine = self._runtime.deserialize_cuda_engine(self.model.read_bytes())
        if self._engine is None:
            error = self._log.take_error()
            if is_out_of_memory(error):
                raise self._no_room()
            reason = f" ({cut(error)})" if error else ""
            raise stale(self.model, self.info, f"{self.name} {self._trt.__version__} cannot load it{reason}")

    def _make_room(self) -> None:
        """Take the memory that the engine works in, so that one that does not fit says so as it is opened."""
        try:
            self._scratch = Scratch(self._cuda, self._engine)
        except MemoryError as error:
            raise self._no_room() from error
        self._slots[0] = self._make_slot()

    def _slot(self, index: int, *, is_under_way: bool) -> Slot:
        slot = self._slots.get(index)
        if slot is None or slot.is_under_way != is_under_way:
            state = (
                "cannot be finished: it was not started" if is_under_way else "has no buffer, or is under way"
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
            raise self._no_room()
        self._scratch.lend_to(context)
        is_static = min(self._engine.get_tensor_shape(IMAGE)) > 0
        graphs = self._cuda.graphs if is_static and self.name == "tensorrt" else None
        return Slot(self._cuda, context, self.info.io, graphs=graphs)

    def _no_room(self) -> DeviceError:
        return DeviceError(f"{self.name} cannot start {self.model}: {self.device} lacks memory; free some")

    def _failure(self, shape: tuple[int, ...]) -> OutOfMemory | DeviceError:
        error = self._log.take_error()
        if is_out_of_memory(error):
            return OutOfMemory(self.device, shape)
        reason = f": {cut(error)}" if error else ""  # told to the logger that TensorRT was given first
        return DeviceError(f"{self.name} failed to run {self.model} on {self.device}{reason}")


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
