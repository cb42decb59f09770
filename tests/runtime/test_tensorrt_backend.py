"""The TensorRT backend over stand-ins for CUDA and TensorRT that work only when the stream is waited for."""

from __future__ import annotations

import ctypes
import enum
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from n2b.runtime.artifact import ModelInfo
from n2b.runtime.backends import InputShape
from n2b.runtime.backends import tensorrt as module
from n2b.runtime.backends.tensorrt import TensorRTBackend
from n2b.runtime.errors import DeviceError, ModelError, StaleEngineError
from n2b.runtime.gpu import Gpu


class Status(enum.Enum):
    cudaSuccess = 0  # noqa: N815, CUDA's own names
    cudaErrorNoDevice = 100  # noqa: N815


class Cuda(ModuleType):
    """cuda.bindings.runtime whose GPU memory is the host's."""

    cudaError_t = Status  # noqa: N815
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)  # noqa: N815

    def __init__(self) -> None:
        super().__init__("cuda.bindings.runtime")
        self.devices = 1
        self.memory: dict[int, Any] = {}
        self.queue: list[Callable[[], object]] = []

    def cudaGetDeviceCount(self):  # noqa: N802
        return (Status.cudaSuccess, self.devices) if self.devices else (Status.cudaErrorNoDevice, None)

    def cudaSetDevice(self, index):  # noqa: N802
        assert index < self.devices
        return (Status.cudaSuccess,)

    def cudaStreamCreate(self):  # noqa: N802
        return Status.cudaSuccess, 77

    def cudaStreamDestroy(self, stream):  # noqa: N802
        assert stream == 77
        return (Status.cudaSuccess,)

    def cudaMalloc(self, size):  # noqa: N802
        block = ctypes.create_string_buffer(b"\xa5" * size, size)
        self.memory[ctypes.addressof(block)] = block
        return Status.cudaSuccess, ctypes.addressof(block)

    cudaMallocHost = cudaMalloc  # noqa: N815

    def cudaFree(self, address):  # noqa: N802
        del self.memory[address]
        return (Status.cudaSuccess,)

    cudaFreeHost = cudaFree  # noqa: N815

    def cudaMemcpyAsync(self, to, source, size, _kind, stream):  # noqa: N802
        assert stream == 77 and size <= len(self.memory[to]) and size <= len(self.memory[source])
        self.queue.append(lambda: ctypes.memmove(to, source, size))
        return (Status.cudaSuccess,)

    def cudaStreamSynchronize(self, stream):  # noqa: N802
        assert stream == 77
        while self.queue:
            self.queue.pop(0)()
        return (Status.cudaSuccess,)


class Engine:
    """A negative: 255 − image; `shape` with −1 where the profile decides."""

    num_io_tensors = 2

    def __init__(self, cuda: Cuda, shape: tuple[int, ...], dtype: str = "UINT8", output: str = "denoised"):
        self.cuda, self.shape, self.dtype, self.output = cuda, shape, dtype, output
        self.addresses: dict[str, int] = {}

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

    def create_execution_context(self, config=None):
        self.config = config
        return self

    def create_runtime_config(self):
        return RuntimeConfig()

    def set_input_shape(self, name, shape):
        assert name == "image"
        self.size = int(np.prod(shape))
        return all(want in (-1, have) for want, have in zip(self.shape, shape, strict=True))

    def set_tensor_address(self, name, address):
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream):
        assert stream == 77
        self.cuda.queue.append(self._compute)
        return True

    def _compute(self):
        source, result = (
            np.frombuffer(self.cuda.memory[self.addresses[name]], np.uint8)[: self.size]
            for name in ("image", "denoised")
        )
        result[:] = 255 - source


class RuntimeConfig:
    """A configuration of TensorRT-RTX whose runtime cache is itself; what it keeps begins with "kernels"."""

    def __init__(self) -> None:
        self.data = b"kernels"

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


@pytest.fixture
def cuda(monkeypatch):
    stand_in = Cuda()
    monkeypatch.setitem(sys.modules, "cuda", ModuleType("cuda"))
    monkeypatch.setitem(sys.modules, "cuda.bindings", ModuleType("cuda.bindings"))
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", stand_in)
    return stand_in


@pytest.fixture
def load(monkeypatch, tmp_path, cuda):
    """load(shape, …) → a backend over an Engine; load(None) → over a plan that TensorRT does not take."""

    def open_engine(
        shape: tuple[int, ...] | None, version: str = "1.7", gpu: Gpu | None = None, **options: Any
    ) -> TensorRTBackend:
        engine = None if shape is None else Engine(cuda, shape, **options)
        trt = ModuleType("tensorrt_rtx")
        trt.__dict__.update(
            __version__="1.7",
            Logger=lambda severity: severity,
            Runtime=lambda _: SimpleNamespace(deserialize_cuda_engine=lambda plan: plan and engine),
            TensorIOMode=SimpleNamespace(INPUT="input", OUTPUT="output"),
            DataType=SimpleNamespace(UINT8="UINT8", FLOAT="FLOAT"),
        )
        trt.Logger.INTERNAL_ERROR = 0  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "tensorrt_rtx", trt)
        monkeypatch.setattr(module, "find_gpu", lambda _index: gpu)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        path = tmp_path / "model.fp16.engine"
        path.write_bytes(b"plan")
        description = {"flavour": "tensorrt-rtx", "version": version, "gpu": "RTX 4090"}
        info = ModelInfo("unet", size_multiple_px=32, engine=description)
        path.with_name("model.fp16.engine.json").write_text(info.to_json())
        return TensorRTBackend(path)

    return open_engine


def picture(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_a_batch_goes_to_the_gpu_and_back(load):
    backend = load((1, 64, 64, 3))
    for seed in (1, 2):
        batch = picture(1, 64, 64, 3) + np.uint8(seed)
        np.testing.assert_array_equal(backend.run(batch), 255 - batch)
    assert backend.name == "tensorrt-rtx" and backend.device == "cuda:0"


def test_batches_of_several_sizes_are_taken(cuda, load):
    backend = load((-1, -1, -1, 3))
    for shape in ((1, 64, 96, 3), (2, 64, 96, 3), (1, 32, 32, 3)):
        batch = picture(*shape)
        np.testing.assert_array_equal(backend.run(batch), 255 - batch)
    assert len(cuda.memory) == 4  # one buffer in, one out, each on both sides


def test_closing_frees_all_memory(cuda, load):
    backend = load((1, 64, 64, 3))
    backend.run(picture(1, 64, 64, 3))
    assert cuda.memory
    backend.close()
    assert not cuda.memory


def test_fixed_sizes_are_read_from_the_engine(load):
    assert load((1, 64, 128, 3)).shape == InputShape(1, 64, 128, largest_batch=1)


def test_an_open_size_is_what_the_engine_was_tuned_for(load):
    assert load((-1, -1, -1, 3)).shape == InputShape(None, 64, 96, largest_batch=4)


def test_an_engine_of_another_version_says_so(load):
    with pytest.raises(StaleEngineError, match=r"by tensorrt-rtx 1\.6, and 1\.7 is .*build it here") as error:
        load((1, 64, 64, 3), version="1.6")
    assert "\n" not in str(error.value)


def test_an_engine_that_does_not_load_says_so(load):
    with pytest.raises(StaleEngineError, match=r"tensorrt-rtx 1\.7 cannot load it; build it here"):
        load(None)


def test_another_kind_of_engine_is_refused(load):
    with pytest.raises(ModelError, match="expected is image → denoised"):
        load((1, 64, 64, 3), output="y")
    with pytest.raises(ModelError, match="takes float32, but its description says uint8"):
        load((1, 64, 64, 3), dtype="FLOAT")


def test_without_a_gpu_it_says_so(cuda, load):
    cuda.devices = 0
    with pytest.raises(DeviceError, match=r"cudaErrorNoDevice; is there a GPU"):
        load((1, 64, 64, 3))


def test_a_gpu_that_is_not_there_is_refused(load, tmp_path):
    load((1, 64, 64, 3))
    with pytest.raises(DeviceError, match="no GPU cuda:1; this machine has 1"):
        TensorRTBackend(tmp_path / "model.fp16.engine", device_index=1)


RTX_4090 = Gpu("NVIDIA GeForce RTX 4090", "8.9")


def kept(tmp_path):
    return sorted((tmp_path / "cache" / "n2b").glob("*.kernels"))


def test_compiled_kernels_are_kept_for_the_next_start(load, tmp_path):
    backend = load((1, 64, 64, 3), gpu=RTX_4090)
    backend._engine.config.data += b" of the first run"
    backend.close()
    (path,) = kept(tmp_path)
    assert path.name.startswith("rtx-1.7-nvidia-geforce-rtx-4090-sm89-")
    assert path.read_bytes() == b"kernels of the first run"

    again = load((1, 64, 64, 3), gpu=RTX_4090)
    assert again._engine.config.data == b"kernels of the first run"
    before = path.stat().st_mtime_ns
    again.close()
    assert path.stat().st_mtime_ns == before  # nothing new, nothing written


def test_kernels_of_another_gpu_are_kept_apart(load, tmp_path):
    load((1, 64, 64, 3), gpu=RTX_4090).close()
    load((1, 64, 64, 3), gpu=Gpu("NVIDIA GeForce RTX 5090", "12.0")).close()
    assert len(kept(tmp_path)) == 2


def test_damaged_kernels_are_replaced(load, tmp_path):
    load((1, 64, 64, 3), gpu=RTX_4090).close()
    (path,) = kept(tmp_path)
    path.write_bytes(b"damaged")
    load((1, 64, 64, 3), gpu=RTX_4090).close()
    assert path.read_bytes() == b"kernels"


def test_kernels_that_cannot_be_kept_are_told_and_do_no_harm(load, tmp_path, cuda):
    backend = load((1, 64, 64, 3), gpu=RTX_4090)
    backend.run(picture(1, 64, 64, 3))
    (tmp_path / "cache").write_text("no folder")
    with pytest.warns(RuntimeWarning, match="compiled kernels were not kept: cannot write"):
        backend.close()
    assert not cuda.memory
