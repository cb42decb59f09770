"""Tests that need a GPU: engines, both CUDA packages, ONNX Runtime's providers, each against the CPU."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from n2b.export.cli import main as export
from n2b.runtime import Denoiser
from n2b.runtime.backends import open_backend
from n2b.runtime.backends.onnxruntime.backend import OnnxRuntimeBackend
from n2b.runtime.backends.onnxruntime.providers import CUDA, TENSORRT
from n2b.runtime.backends.tensorrt.backend import TensorRTBackend
from n2b.runtime.errors import DeviceError, OutOfMemory
from n2b.runtime.model_files import ModelFiles, bundled_models
from n2b.runtime.system import packages
from n2b.runtime.system.gpu import find_gpu
from n2b.runtime.system.tensorrt import FLAVOURS, is_installed

HAS_GPU = find_gpu() is not None
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not HAS_GPU, reason="needs an NVIDIA GPU and its driver")]

TILE = 256
SHAPE = (1, TILE, TILE, 3)
PROVIDERS = onnxruntime.get_available_providers()


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def needs(is_there: bool, what: str) -> pytest.MarkDecorator:
    """Skips on a GPU where something is missing; without a GPU that is the reason."""
    return pytest.mark.skipif(HAS_GPU and not is_there, reason=f"needs {what}")


needs_cuda = needs(CUDA in PROVIDERS, "the package onnxruntime-gpu")


@pytest.fixture(scope="module", params=FLAVOURS)
def flavour(request: pytest.FixtureRequest) -> str:
    if not is_installed(request.param):
        pytest.skip(f"needs the package {request.param}")
    return request.param


@pytest.fixture(scope="module", params=["fixed", "dynamic"])
def engine(request: pytest.FixtureRequest, flavour: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An FP32 engine of the bundled camera model, built here."""
    out = tmp_path_factory.mktemp(request.param)
    arguments = ["n2b-export", "camera", "--target", flavour, "--tile", str(TILE), "--no-verify"]
    arguments += ["--out", str(out)]
    if request.param == "dynamic":
        arguments += ["--dynamic", "--min-shape", "1x64x64", "--opt-shape", f"1x{TILE}x{TILE}"]
        arguments += ["--max-shape", "4x512x512"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as ended:
            export()
    assert ended.value.code == 0
    return next(out.glob("*.engine"))


@pytest.fixture(params=["cuda-bindings", "pycuda"])
def cuda_api(request: pytest.FixtureRequest) -> str:
    if not packages.is_installed(request.param.replace("-", ".")):
        pytest.skip(f"needs the package {request.param}")
    return request.param


@pytest.fixture(scope="module")
def camera() -> Path:
    return bundled_models()["camera"]


@pytest.fixture
def on_cpu(camera: Path) -> Iterator[OnnxRuntimeBackend]:
    backend = OnnxRuntimeBackend(camera, device="cpu")
    yield backend
    backend.close()


def random_image(shape: tuple[int, ...] = SHAPE, seed: int = 0) -> np.ndarray:
    """Ramps with noise, as a photograph's tile has them."""
    ramp = np.linspace(30, 220, shape[2])[:, None] + np.zeros(shape)
    noise = np.random.default_rng(seed).normal(0, 10, shape)
    return np.clip(ramp + noise, 0, 255).astype(np.uint8)


def assert_near(result: np.ndarray, expected: np.ndarray) -> None:
    """Within a level, as FP32 on another device is, but for a pixel in a thousand."""
    difference = abs(result.astype(int) - expected)
    assert np.quantile(difference, 0.999) <= 1 and difference.max() <= 3


class TestEngine:
    def test_it_computes_what_the_cpu_does(self, engine, cuda_api, on_cpu):
        backend = TensorRTBackend(engine, cuda_api=cuda_api)
        for seed in range(4):  # plain, captured, and from the graph
            batch = random_image(seed=seed)
            assert_near(backend.run(batch), on_cpu.run(batch))
        backend.close()

    def test_two_batches_are_under_way(self, engine, cuda_api, on_cpu):
        backend = TensorRTBackend(engine, cuda_api=cuda_api)
        batches = [random_image(seed=seed) for seed in range(8)]
        results = []
        for index, batch in enumerate(batches):
            slot = index % backend.slots
            if index >= backend.slots:
                results.append(backend.finish(slot).copy())
            backend.buffer(slot, SHAPE)[:] = batch
            backend.start(slot)
        results += [backend.finish(slot).copy() for slot in range(backend.slots)]
        for batch, result in zip(batches, results, strict=True):
            assert_near(result, on_cpu.run(batch))
        backend.close()

    def test_it_lives_beside_pytorch(self, engine, cuda_api, on_cpu):
        torch = pytest.importorskip("torch", reason="needs the package torch")
        if not torch.cuda.is_available():
            pytest.skip("needs a PyTorch with CUDA")
        weights = torch.rand(256, 256, device="cuda")
        backend = TensorRTBackend(engine, cuda_api=cuda_api)
        batch = random_image()
        expected = on_cpu.run(batch)
        for _ in range(3):
            assert_near(backend.run(batch), expected)
            assert torch.isfinite(weights @ weights).all().item()
        backend.close()
        assert torch.isfinite(weights @ weights).all().item()  # its context is still there

    def test_two_denoisers_in_two_threads(self, engine, cuda_api, camera):
        image = random_image((1, 300, 400, 3))[0]
        with Denoiser(camera, device="cpu", backend="onnxruntime", tile=TILE) as denoise:
            expected = denoise(image)
        wrong: list[object] = []

        def work() -> None:
            try:
                with Denoiser(engine, cuda_api=cuda_api, strict=True) as denoise:
                    for _ in range(5):
                        assert_near(denoise(image), expected)
            except BaseException as error:
                wrong.append(error)

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong

    def test_memory_that_does_not_suffice_is_told_and_a_tile_still_runs(self, engine, cuda_api, on_cpu):
        backend = TensorRTBackend(engine, cuda_api=cuda_api)
        with pytest.raises(OutOfMemory, match="cuda:0 ran out of memory"):
            backend.buffer(0, (1 << 16, 1 << 12, 1 << 12, 3))
        batch = random_image()
        assert_near(backend.run(batch), on_cpu.run(batch))
        backend.close()

    def test_a_gpu_that_is_not_there_is_refused(self, engine, cuda_api):
        with pytest.raises(DeviceError, match="no GPU cuda:99"):
            TensorRTBackend(engine, device_index=99, cuda_api=cuda_api)


class TestOnnxRuntime:
    @needs_cuda
    def test_cuda_computes_what_the_cpu_does(self, camera, on_cpu):
        backend = OnnxRuntimeBackend(camera, device="cuda", strict=True, max_memory_mb=1000)
        assert backend.device == "cuda:0"
        batch = random_image()
        assert_near(backend.run(batch), on_cpu.run(batch))

    @needs_cuda
    def test_auto_takes_cuda(self, camera):
        assert open_backend(ModelFiles(onnx=camera)).device == "cuda:0"

    @needs_cuda
    def test_memory_that_does_not_suffice_is_told_and_a_tile_still_runs(self, camera, on_cpu):
        backend = OnnxRuntimeBackend(camera, device="cuda", strict=True, max_memory_mb=200)
        with pytest.raises(OutOfMemory, match="cuda:0 ran out of memory over a tile of 4096×4096 px"):
            backend.run(random_image((1, 4096, 4096, 3)))
        batch = random_image()
        assert_near(backend.run(batch), on_cpu.run(batch))

    @needs(TENSORRT in PROVIDERS, "an ONNX Runtime with TensorRT")
    def test_tensorrt_computes_what_the_cpu_does_and_keeps_its_engine(self, camera, on_cpu, cache_of_its_own):
        backend = OnnxRuntimeBackend(camera, name="onnxruntime-tensorrt")
        batch = random_image()
        assert_near(backend.run(batch), on_cpu.run(batch))
        assert list((cache_of_its_own / "onnxruntime-tensorrt").glob("*.engine"))

    @needs(installed("onnxruntime_ep_nv_tensorrt_rtx"), "the package onnxruntime-ep-nv-tensorrt-rtx")
    def test_rtx_computes_what_the_cpu_does(self, camera, on_cpu):
        backend = OnnxRuntimeBackend(camera, name="onnxruntime-rtx")
        batch = random_image()
        assert_near(backend.run(batch), on_cpu.run(batch))
