"""TensorRT over a GPU in numpy: an engine that makes a negative in two steps, by way of scratch memory."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from .cuda import FakeCuda

SCRATCH_BYTES = 1 << 20


class Engine:
    """255 − image; `shape` with −1 where the profile decides. `options` change what it says of itself."""

    num_io_tensors = 2
    device_memory_size_v2 = SCRATCH_BYTES

    def __init__(
        self, cuda: FakeCuda, shape: tuple[int, ...], dtype: str = "UINT8", output: str = "denoised"
    ):
        self.cuda, self.shape, self.dtype, self.output = cuda, shape, dtype, output
        self.contexts: list[Context] = []
        self.config: RuntimeConfig | None = None
        self.log: Any = None
        self.fails_with: str | None = None  # what TensorRT says as it refuses to run
        self.contexts_that_fit = 99
        self.result_shape: tuple[int, ...] | None = None  # where it lies; None: that of the batch

    def get_tensor_name(self, index):
        return ("image", self.output)[index]

    def get_tensor_mode(self, name):
        return "input" if name == "image" else "output"

    def get_tensor_dtype(self, _name):
        return self.dtype

    def get_tensor_shape(self, _name):
        return self.shape

    def get_tensor_profile_shape(self, name, index):
        assert (name, index) == ("image", 0)
        profile = ((1, 32, 32, 3), (2, 64, 96, 3), (4, 128, 192, 3))
        return [np.where(np.array(self.shape) > 0, self.shape, choice) for choice in profile]

    def create_execution_context(self, how="STATIC"):
        strategy = how
        if isinstance(how, RuntimeConfig):
            self.config, strategy = how, how.strategy
        if len(self.contexts) >= self.contexts_that_fit:
            return None
        self.contexts.append(Context(self, strategy))
        return self.contexts[-1]

    def create_runtime_config(self):
        return RuntimeConfig()


class Context:
    def __init__(self, engine: Engine, strategy: str) -> None:
        self.engine, self.strategy = engine, strategy
        self.addresses: dict[str, int] = {}
        self.scratch: int | None = None
        self.shape: tuple[int, ...] = ()

    def set_device_memory(self, address, size):
        assert self.strategy == "USER_MANAGED" and size == SCRATCH_BYTES
        self.scratch = address

    def set_input_shape(self, name, shape):
        assert name == "image"
        self.shape = tuple(shape)
        return all(want in (-1, have) for want, have in zip(self.engine.shape, shape, strict=True))

    def get_tensor_shape(self, name):
        assert name in ("image", "denoised")
        return self.engine.result_shape or self.shape

    def set_tensor_address(self, name, address):
        self.addresses[name] = address
        return True

    def execute_async_v3(self, handle):
        if self.engine.fails_with is not None:
            self.engine.log.log(1, self.engine.fails_with)
            return False
        memory, size = self.engine.cuda.memory, int(np.prod(self.shape))
        source, result = (memory[self.addresses[name]] for name in ("image", "denoised"))
        scratch = memory[self.scratch] if self.scratch is not None else np.empty(size, np.uint8)

        def first() -> bool:
            scratch[:size] = 255 - source[:size]
            return True

        def second() -> bool:
            result[:size] = scratch[:size]
            return True

        self.engine.cuda.enqueue(handle, [first, second])
        return True


class RuntimeConfig:
    """A configuration of TensorRT-RTX whose runtime cache is itself; what it keeps begins with "kernels"."""

    def __init__(self) -> None:
        self.data = b"kernels"
        self.strategy = "STATIC"
        self.cuda_graph_strategy = "DISABLED"

    def set_execution_context_allocation_strategy(self, strategy):
        self.strategy = strategy

    def create_runtime_cache(self):
        return self

    def set_runtime_cache(self, cache):
        assert cache is self
        return True

    def deserialize(self, data):
        if data.startswith(b"kernels"):
            self.data = data
        return data.startswith(b"kernels")

    def serialize(self):
        return self.data


class ILogger:
    ERROR = 1

    def __init__(self) -> None:
        pass


def fake_tensorrt(name: str, engine: Engine | None, reason: str = "") -> ModuleType:
    """The module `tensorrt` or `tensorrt_rtx`; without an engine it takes no plan, and says the reason."""

    def runtime(log: Any) -> SimpleNamespace:
        def deserialize(plan: bytes) -> Engine | None:
            assert plan
            if engine is None:
                log.log(1, reason)
            else:
                engine.log = log
            return engine

        return SimpleNamespace(deserialize_cuda_engine=deserialize)

    trt = ModuleType(name)
    trt.__dict__.update(
        __version__="1.7",
        ILogger=ILogger,
        Runtime=runtime,
        TensorIOMode=SimpleNamespace(INPUT="input", OUTPUT="output"),
        DataType=SimpleNamespace(UINT8="UINT8", FLOAT="FLOAT"),
        ExecutionContextAllocationStrategy=SimpleNamespace(STATIC="STATIC", USER_MANAGED="USER_MANAGED"),
    )
    if name == "tensorrt_rtx":
        trt.CudaGraphStrategy = SimpleNamespace(WHOLE_GRAPH_CAPTURE="WHOLE_GRAPH_CAPTURE")  # type: ignore[attr-defined]
    return trt
