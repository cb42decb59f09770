"""The TensorRT backend over stand-ins for CUDA and TensorRT that work only when a stream is waited for."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from n2b.runtime.backends import InputShape, OverlappedBackend
from n2b.runtime.backends.tensorrt import backend as module
from n2b.runtime.backends.tensorrt.backend import TensorRTBackend
from n2b.runtime.errors import DeviceError, ModelError, OutOfMemory, StaleEngineError
from n2b.runtime.inference.executor import ImageTask, TileExecutor
from n2b.runtime.inference.tiling import plan_tiles
from n2b.runtime.model_info import ModelInfo
from n2b.runtime.system.gpu import Gpu

from ..fakes.cuda import FakeCuda
from ..fakes.tensorrt import SCRATCH_BYTES, Engine, fake_tensorrt

RTX_4090 = Gpu("NVIDIA GeForce RTX 4090", "8.9")
SMALL = (1, 64, 64, 3)


@pytest.fixture
def cuda() -> FakeCuda:
    return FakeCuda()


@pytest.fixture
def load(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cuda: FakeCuda
) -> Iterator[Callable[..., TensorRTBackend]]:
    """load(shape, …) → a backend over an Engine; load(None) → over a plan that TensorRT does not take."""

    def open_engine(
        shape: tuple[int, ...] | None,
        flavour: str = "tensorrt-rtx",
        version: str = "1.7",
        gpu: Gpu | None = None,
        reason: str = "",
        change: Callable[[Engine], object] = lambda _: None,
        **options: Any,
    ) -> TensorRTBackend:
        engine = None if shape is None else Engine(cuda, shape, **options)
        if engine is not None:
            change(engine)
        name = flavour.replace("-", "_")
        monkeypatch.setitem(sys.modules, name, fake_tensorrt(name, engine, reason))
        monkeypatch.setattr(module, "find_gpu", lambda _index: gpu)
        monkeypatch.setattr(module, "open_cuda", lambda _api, _index: cuda)
        cuda.is_closed = False
        path = tmp_path / "model.fp16.engine"
        path.write_bytes(b"plan")
        description = {"flavour": flavour, "version": version}
        info = ModelInfo("unet", precision="fp16", size_multiple_px=32, engine=description)
        path.with_name("model.fp16.engine.json").write_text(info.to_json())
        return TensorRTBackend(path)

    yield open_engine


def random_image(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


class TestRun:
    def test_a_batch_goes_to_the_gpu_and_back(self, load):
        backend = load(SMALL)
        for seed in (1, 2, 3):
            batch = random_image(*SMALL, seed=seed)
            np.testing.assert_array_equal(backend.run(batch), 255 - batch)
        assert (backend.name, backend.device, backend.precision) == ("tensorrt-rtx", "cuda:0", "fp16")

    def test_batches_of_several_sizes_share_the_memory_of_the_largest(self, cuda, load):
        backend = load((-1, -1, -1, 3))
        for shape in ((1, 64, 96, 3), (2, 64, 96, 3), (1, 32, 32, 3)):
            batch = random_image(*shape)
            np.testing.assert_array_equal(backend.run(batch), 255 - batch)
        largest = 2 * 64 * 96 * 3
        assert sorted(block.nbytes for block in cuda.memory.values()) == [largest, largest, SCRATCH_BYTES]

    def test_a_batch_that_the_engine_does_not_take_is_refused(self, load):
        with pytest.raises(ModelError, match="does not take a batch of 1×32×64×3"):
            load(SMALL).run(random_image(1, 32, 64, 3))

    @pytest.mark.parametrize("shape", [(1, 64, 32, 3), (0, 64, 64, 3), (2, 64, 64, 3)])
    def test_an_engine_whose_result_has_another_size_is_refused_before_it_runs(self, load, shape):
        backend = load((-1, -1, -1, 3), change=lambda engine: setattr(engine, "result_shape", shape))
        with pytest.raises(ModelError, match=f"returns {'×'.join(map(str, shape))} for a batch of 1×64×64×3"):
            backend.run(random_image(*SMALL))

    def test_closing_gives_everything_back(self, cuda, load):
        backend = load(SMALL)
        backend.run(random_image(*SMALL))
        backend.buffer(1, SMALL)[:] = 0
        backend.start(1)
        backend.close()  # checked by the stand-in
        assert cuda.is_closed


class TestOverlap:
    def test_two_batches_under_way_do_not_mix(self, load):
        backend = load(SMALL, flavour="tensorrt")
        batches = [random_image(*SMALL, seed=seed) for seed in range(6)]
        results = []
        for index, batch in enumerate(batches):
            slot = index % backend.slots
            if index >= backend.slots:
                results.append(backend.finish(slot).copy())
            backend.buffer(slot, SMALL)[:] = batch
            backend.start(slot)
        results += [backend.finish(slot).copy() for slot in range(backend.slots)]
        for batch, result in zip(batches, results, strict=True):
            np.testing.assert_array_equal(result, 255 - batch)

    def test_the_tiles_of_an_image_take_turns_in_the_slots(self, load):
        backend = load(SMALL)
        image = random_image(150, 200, 3)
        plan = plan_tiles(150, 200, tile_px=64, halo_px=8, multiple_px=32, fixed=True)
        work = ImageTask(image, np.zeros_like(image))
        TileExecutor(backend, batch=1, is_bgr=False).run([(work, plan)])
        assert len(plan.tiles) > 2 and isinstance(backend, OverlappedBackend)
        np.testing.assert_array_equal(work.clean, 255 - image)

    def test_starting_waits_for_nothing(self, cuda, load):
        backend = load(SMALL)
        for slot in range(backend.slots):
            backend.buffer(slot, SMALL)[:] = slot
            backend.start(slot)
        assert "synchronise" not in cuda.calls
        assert [int(backend.finish(slot).min()) for slot in range(2)] == [255, 254]

    def test_a_copy_in_does_not_wait_for_the_other_batch_s_engine(self, cuda, load):
        backend = load(SMALL)
        for slot in range(backend.slots):
            backend.buffer(slot, SMALL)
            del cuda.calls[:]
            backend.start(slot)
        assert cuda.calls == ["copy_in", "wait", "record", "copy_out"]

    def test_both_slots_work_in_one_block_of_memory(self, cuda, load):
        backend = load(SMALL)
        for slot in range(backend.slots):
            backend.buffer(slot, SMALL)
        contexts = backend._engine.contexts
        assert len(contexts) == 2 and contexts[0].scratch == contexts[1].scratch is not None
        assert [block.nbytes for block in cuda.memory.values()].count(SCRATCH_BYTES) == 1

    def test_an_engine_that_does_not_tell_its_memory_keeps_it_to_itself(self, load, monkeypatch):
        monkeypatch.delattr(Engine, "device_memory_size_v2")
        backend = load(SMALL)
        batch = random_image(*SMALL)
        np.testing.assert_array_equal(backend.run(batch), 255 - batch)
        assert [context.strategy for context in backend._engine.contexts] == ["STATIC"]

    def test_the_second_slot_takes_nothing_before_it_is_used(self, cuda, load):
        backend = load(SMALL)
        backend.run(random_image(*SMALL))
        assert len(backend._engine.contexts) == len(cuda.streams) == 1

    @pytest.mark.parametrize("misuse", ["start", "finish", "buffer"])
    def test_slots_out_of_order_are_refused(self, load, misuse):
        backend = load(SMALL)
        with pytest.raises(RuntimeError, match="slot"):
            if misuse == "start":
                backend.start(1)
            elif misuse == "finish":
                backend.finish(0)
            else:
                backend.buffer(0, SMALL)
                backend.start(0)
                backend.buffer(0, SMALL)


class TestGraphs:
    def test_an_engine_for_one_size_runs_as_a_graph_after_a_plain_run(self, cuda, load):
        backend = load(SMALL, flavour="tensorrt")
        for seed in range(4):
            batch = random_image(*SMALL, seed=seed)
            np.testing.assert_array_equal(backend.run(batch), 255 - batch)
        assert (cuda.calls.count("capture"), cuda.calls.count("launch")) == (1, 3)
        backend.close()
        assert not cuda.captured

    def test_each_slot_has_a_graph_of_its_own(self, cuda, load):
        backend = load(SMALL, flavour="tensorrt")
        for seed in range(3):
            for slot in range(backend.slots):
                backend.buffer(slot, SMALL)[:] = 10 * seed + slot
                backend.start(slot)
            for slot in range(backend.slots):
                assert (backend.finish(slot) == 255 - (10 * seed + slot)).all()
        assert len(cuda.captured) == 2

    @pytest.mark.parametrize("why_not", ["several sizes", "rtx captures itself", "pycuda has none"])
    def test_elsewhere_there_is_no_graph(self, cuda, load, why_not):
        cuda.has_graphs = why_not != "pycuda has none"
        shape = (-1, 64, 64, 3) if why_not == "several sizes" else SMALL
        flavour = "tensorrt-rtx" if why_not == "rtx captures itself" else "tensorrt"
        backend = load(shape, flavour=flavour, gpu=RTX_4090)
        for seed in range(3):
            batch = random_image(*SMALL, seed=seed)
            np.testing.assert_array_equal(backend.run(batch), 255 - batch)
        assert "capture" not in cuda.calls
        if flavour == "tensorrt-rtx":
            assert backend._engine.config.cuda_graph_strategy == "WHOLE_GRAPH_CAPTURE"

    def test_work_that_cannot_be_captured_runs_without(self, cuda, load, monkeypatch):
        def capture(_stream, _work):
            raise DeviceError("cuStreamEndCapture gave CUDA_ERROR_STREAM_CAPTURE_INVALIDATED")

        monkeypatch.setattr(cuda, "capture", capture)
        backend = load(SMALL, flavour="tensorrt")
        for seed in range(3):
            batch = random_image(*SMALL, seed=seed)
            np.testing.assert_array_equal(backend.run(batch), 255 - batch)


class TestMemory:
    def test_a_batch_that_does_not_fit_says_so_and_a_smaller_one_runs(self, cuda, load):
        backend = load((-1, -1, -1, 3))
        large, small = random_image(4, 128, 192, 3), random_image(1, 32, 32, 3)
        backend.run(small)
        cuda.limit_bytes = SCRATCH_BYTES + 2 * small.nbytes + 1000
        with pytest.raises(
            OutOfMemory, match=r"cuda:0 ran out of memory over 4 tiles of 128×192 px"
        ) as error:
            backend.run(large)
        assert "\n" not in str(error.value)
        np.testing.assert_array_equal(backend.run(small), 255 - small)
        backend.close()
        assert cuda.is_closed

    @pytest.mark.parametrize("step", ["scratch", "context"])
    def test_an_engine_that_does_not_fit_says_so_as_it_is_opened(self, cuda, load, step):
        def change(engine: Engine) -> None:
            engine.contexts_that_fit = 0 if step == "context" else 99

        cuda.limit_bytes = 1000 if step == "scratch" else 1 << 30
        with pytest.raises(DeviceError, match=r"cannot start .*engine: cuda:0 lacks memory; free some"):
            load(SMALL, change=change)
        assert cuda.is_closed

    def test_what_tensorrt_says_tells_memory_from_other_faults(self, load):
        backend = load(SMALL)
        batch = random_image(*SMALL)
        backend._engine.fails_with = "[defaultAllocator.cpp] Error Code 1: Cuda Runtime (out of memory)"
        with pytest.raises(OutOfMemory, match="a tile of 64×64 px"):
            backend.run(batch)
        backend._engine.fails_with = "Error Code 1: Myelin ([myelin_run.cpp] an illegal instruction)"
        with pytest.raises(DeviceError, match=r"failed to run .*an illegal instruction"):
            backend.run(batch)
        backend._engine.fails_with = None
        np.testing.assert_array_equal(backend.run(batch), 255 - batch)


class TestContract:
    def test_fixed_sizes_are_read_from_the_engine(self, load):
        assert load((1, 64, 128, 3)).shape == InputShape(1, 64, 128, largest_batch=1)

    def test_an_open_size_is_what_the_engine_was_tuned_for(self, load):
        assert load((-1, -1, -1, 3)).shape == InputShape(None, 64, 96, largest_batch=4)

    def test_an_engine_of_another_version_says_so(self, load):
        with pytest.raises(StaleEngineError, match=r"rtx 1\.6, and 1\.7 is .*build it here") as error:
            load(SMALL, version="1.6")
        assert "\n" not in str(error.value)

    def test_an_engine_that_does_not_load_says_why(self, load, cuda):
        with pytest.raises(StaleEngineError, match=r"1\.7 cannot load it \(Magic tag.*\); build it here"):
            load(None, reason="Magic tag does not match")
        assert cuda.is_closed

    def test_another_kind_of_engine_is_refused(self, load):
        with pytest.raises(ModelError, match="expected is image → denoised"):
            load(SMALL, output="y")

    def test_an_engine_of_another_dtype_than_described_is_refused(self, load):
        with pytest.raises(ModelError, match="takes float32, but its description says uint8"):
            load(SMALL, dtype="FLOAT")


def kept(folder):
    return sorted(folder.glob("*.kernels"))


class TestKernels:
    def test_compiled_kernels_are_kept_for_the_next_start(self, load, cache_of_its_own):
        backend = load(SMALL, gpu=RTX_4090)
        backend._engine.config.data += b" of the first run"
        backend.close()
        (path,) = kept(cache_of_its_own)
        assert path.name.startswith("rtx-1.7-nvidia-geforce-rtx-4090-sm89-")
        assert path.read_bytes() == b"kernels of the first run"

    def test_nothing_new_is_not_written(self, load, cache_of_its_own):
        load(SMALL, gpu=RTX_4090).close()
        (path,) = kept(cache_of_its_own)
        before = path.stat().st_mtime_ns
        again = load(SMALL, gpu=RTX_4090)
        assert again._engine.config.data == b"kernels"
        again.close()
        assert path.stat().st_mtime_ns == before

    def test_kernels_of_another_gpu_are_kept_apart(self, load, cache_of_its_own):
        load(SMALL, gpu=RTX_4090).close()
        load(SMALL, gpu=Gpu("NVIDIA GeForce RTX 5090", "12.0")).close()
        assert len(kept(cache_of_its_own)) == 2

    def test_damaged_kernels_are_replaced(self, load, cache_of_its_own):
        load(SMALL, gpu=RTX_4090).close()
        (path,) = kept(cache_of_its_own)
        path.write_bytes(b"damaged")
        load(SMALL, gpu=RTX_4090).close()
        assert path.read_bytes() == b"kernels"

    def test_kernels_that_cannot_be_kept_are_told_and_do_no_harm(self, load, cuda, cache_of_its_own, caplog):
        backend = load(SMALL, gpu=RTX_4090)
        backend.run(random_image(*SMALL))
        cache_of_its_own.write_text("no folder")
        backend.close()
        assert re.search("compiled kernels were not saved: cannot write", caplog.text)
        assert cuda.is_closed
