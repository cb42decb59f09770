"""Settings of ONNX Runtime for a GPU, and the message if it does not start there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import onnxruntime
import pytest
from n2b.runtime.backends.onnxruntime import providers as module
from n2b.runtime.backends.onnxruntime.backend import OnnxRuntimeBackend
from n2b.runtime.backends.onnxruntime.session import fault_of
from n2b.runtime.errors import DeviceError, EnvironmentFault, MissingPackageError, OutOfMemory

CPU, CUDA, TENSORRT, RTX = module.CPU, module.CUDA, module.TENSORRT, module.RTX


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch):
    """sessions(has=…, starts=…): an ONNX Runtime of which some providers start → what it is asked for."""
    real = onnxruntime.InferenceSession

    def install(*, has: list[str], starts: list[str]) -> list[list[Any]]:
        asked: list[list[Any]] = []

        def session(path: str, options: Any, providers: Any = None) -> Any:
            asked.append(providers)
            opened = real(path, options, providers=[CPU])
            names = [entry if isinstance(entry, str) else entry[0] for entry in providers or []]
            started = [name for name in names if name in starts or name == CPU]
            attributes = ("get_inputs", "get_outputs", "get_modelmeta", "run")
            return SimpleNamespace(
                get_providers=lambda: started, **{name: getattr(opened, name) for name in attributes}
            )

        monkeypatch.setattr(onnxruntime, "InferenceSession", session)
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [*has, CPU])
        return asked

    return install


class TestCuda:
    def test_it_is_told_the_gpu_and_its_limit(self, sessions, make_model):
        asked = sessions(has=[CUDA], starts=[CUDA])
        backend = OnnxRuntimeBackend(make_model(), device="cuda:2", max_memory_mb=300)
        assert (backend.device, backend.name) == ("cuda:2", "onnxruntime")
        (name, options), fallback = asked[0]
        assert (name, fallback) == (CUDA, CPU)
        assert options["device_id"] == 2 and options["gpu_mem_limit"] == 300_000_000
        assert options["use_tf32"] == 0 and options["arena_extend_strategy"] == "kSameAsRequested"

    def test_without_a_limit_it_takes_what_it_needs(self):
        assert "gpu_mem_limit" not in module.cuda_provider(0, None)[1]

    def test_where_it_does_not_start_the_cpu_is_used_with_a_report(self, sessions, make_model, caplog):
        sessions(has=[CUDA], starts=[])
        assert OnnxRuntimeBackend(make_model(), device="cuda").device == "cpu"
        assert re.search("using the CPU, since ONNX Runtime cannot start CUDA", caplog.text)
        with pytest.raises(DeviceError, match="cannot start CUDA"):
            OnnxRuntimeBackend(make_model(), device="cuda", strict=True)


class TestTensorRT:
    def test_engines_are_kept_in_the_cache_folder(self, sessions, make_model, cache_of_its_own):
        asked = sessions(has=[TENSORRT, CUDA], starts=[TENSORRT, CUDA])
        backend = OnnxRuntimeBackend(make_model(), name="onnxruntime-tensorrt", max_memory_mb=300)
        assert (backend.device, backend.name) == ("cuda:0", "onnxruntime-tensorrt")
        (name, options), (second, _), third = asked[-1]
        assert (name, second, third) == (TENSORRT, CUDA, CPU)
        assert options["trt_engine_cache_path"] == str(cache_of_its_own / "onnxruntime-tensorrt")
        assert (cache_of_its_own / "onnxruntime-tensorrt").is_dir()
        assert options["trt_max_workspace_size"] == 300_000_000

    @pytest.mark.parametrize(
        ("precision", "fp16", "int8"), [("fp32", False, False), ("fp16", True, False), ("int8", True, True)]
    )
    def test_precision_is_the_file_s(self, sessions, make_model, precision, fp16, int8):
        asked = sessions(has=[TENSORRT, CUDA], starts=[TENSORRT, CUDA])
        OnnxRuntimeBackend(make_model(precision=precision), name="onnxruntime-tensorrt")
        options = asked[-1][0][1]
        assert (options["trt_fp16_enable"], options["trt_int8_enable"]) == (fp16, int8)

    def test_what_is_missing_is_told(self, sessions, make_model):
        sessions(has=[CUDA], starts=[CUDA])
        with pytest.raises(DeviceError, match=r"built without TensorRT: pip install onnxruntime-gpu"):
            OnnxRuntimeBackend(make_model(), name="onnxruntime-tensorrt")
        sessions(has=[TENSORRT, CUDA], starts=[CUDA])
        with pytest.raises(DeviceError, match="cannot start TensorRT"):
            OnnxRuntimeBackend(make_model(), name="onnxruntime-tensorrt")
        with pytest.raises(DeviceError, match="runs on an NVIDIA GPU only"):
            OnnxRuntimeBackend(make_model(), name="onnxruntime-tensorrt", device="cpu")

    def test_a_cache_folder_that_cannot_be_made_is_told(self, sessions, make_model, cache_of_its_own):
        sessions(has=[TENSORRT, CUDA], starts=[TENSORRT, CUDA])
        cache_of_its_own.write_text("no folder")
        with pytest.raises(DeviceError, match=r"cannot make the folder .*set XDG_CACHE_HOME"):
            OnnxRuntimeBackend(make_model(), name="onnxruntime-tensorrt")


class TestRtx:
    @pytest.fixture
    def plugin(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        """The plug-in, and ONNX Runtime's side of it: `gpus`, `registered` and what sessions are given."""
        state = SimpleNamespace(gpus=1, registered=[], given=[], error=None)
        package = ModuleType("onnxruntime_ep_nv_tensorrt_rtx")
        package.get_library_path = lambda: "/lib/plugin.so"  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, package.__name__, package)

        def register(name: str, path: str) -> None:
            if state.error is not None:
                raise RuntimeError(state.error)
            state.registered.append((name, path))

        def devices() -> list[Any]:
            rtx = [
                SimpleNamespace(ep_name=RTX, index=i) for i in range(state.gpus if state.registered else 0)
            ]
            return [SimpleNamespace(ep_name=CPU), *rtx]

        class Options:
            def add_provider_for_devices(self, chosen: list[Any], options: dict[str, str]) -> None:
                state.given.append(([device.index for device in chosen], options))

        monkeypatch.setattr(onnxruntime, "register_execution_provider_library", register)
        monkeypatch.setattr(onnxruntime, "get_ep_devices", devices)
        state.add = lambda index: module.add_rtx(onnxruntime, Options(), index)
        return state

    def test_a_session_is_given_the_gpu_and_a_folder_for_kernels(self, plugin, cache_of_its_own):
        plugin.gpus = 2
        plugin.add(1)
        plugin.add(0)
        assert plugin.registered == [(RTX, "/lib/plugin.so")]  # once a process
        folder = {"nv_runtime_cache_path": str(cache_of_its_own / "onnxruntime-rtx")}
        assert plugin.given == [([1], folder), ([0], folder)]

    def test_a_gpu_that_is_not_there_is_told(self, plugin):
        with pytest.raises(DeviceError, match="finds no GPU cuda:1; it finds 1"):
            plugin.add(1)

    def test_a_plugin_that_does_not_load_says_why(self, plugin):
        plugin.error = "[ONNXRuntimeError] : 1 : FAIL :\nlibcuda.so.1: cannot open shared object file"
        with pytest.raises(DeviceError, match=r"cannot start: .*libcuda\.so\.1.*needs a GPU") as error:
            plugin.add(0)
        assert "\n" not in str(error.value)

    def test_an_old_onnxruntime_is_told(self, plugin, monkeypatch):
        monkeypatch.delattr(onnxruntime, "register_execution_provider_library")
        with pytest.raises(MissingPackageError, match=r"onnxruntime>=1\.24 .*plug-in"):
            plugin.add(0)

    def test_a_missing_plugin_is_named(self, make_model, monkeypatch):
        monkeypatch.setitem(sys.modules, "onnxruntime_ep_nv_tensorrt_rtx", None)
        with pytest.raises(MissingPackageError, match="pip install onnxruntime-ep-nv-tensorrt-rtx"):
            OnnxRuntimeBackend(make_model(), name="onnxruntime-rtx")


class TestMemory:
    @pytest.mark.parametrize(
        "message",
        [
            "[ONNXRuntimeError] : 6 : Failed to allocate memory for requested buffer of size 137438953472",
            "CUDA failure 2: out of memory ; GPU=0 ; hostname=a",
            "BFCArena::AllocateRawInternal Available memory of 0 is smaller than requested bytes of 5242880",
            "CUDNN_STATUS_ALLOC_FAILED ; GPU=0",
            "std::bad_alloc",
        ],
    )
    def test_messages_of_all_layers_are_known(self, message):
        fault = fault_of(RuntimeError(message), "cuda:0", (2, 512, 512, 3))
        assert isinstance(fault, OutOfMemory)
        assert str(fault).startswith(
            "cuda:0 ran out of memory over 2 tiles of 512×512 px; use a smaller --tile"
        )

    def test_other_faults_are_not_taken_for_it(self):
        fault = fault_of(RuntimeError("Got invalid dimensions"), "cpu", (1, 8, 8, 3))
        assert type(fault) is EnvironmentFault

    @pytest.mark.skipif(
        not Path("/proc/self/statm").exists(), reason="only Linux limits a process's memory so"
    )
    def test_a_batch_that_does_not_fit_leaves_the_backend_usable(self, make_model):
        path = make_model("wide")
        code = "\n".join(
            [
                "import resource, sys",
                "from pathlib import Path",
                "import numpy as np",
                "from n2b.runtime.backends.onnxruntime.backend import OnnxRuntimeBackend",
                "from n2b.runtime.errors import OutOfMemory",
                "backend = OnnxRuntimeBackend(Path(sys.argv[1]), device='cpu')",
                "backend.run(np.zeros((1, 8, 8, 3), np.uint8))",
                "used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()",
                "resource.setrlimit(resource.RLIMIT_AS, (used + 200_000_000, resource.RLIM_INFINITY))",
                "try:",
                "    backend.run(np.zeros((1, 2000, 2000, 3), np.uint8))",
                "except OutOfMemory as error:",
                "    print(error)",
                "print(backend.run(np.zeros((1, 8, 8, 3), np.uint8)).shape)",
            ]
        )
        ran = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
        message, shape = ran.stdout.splitlines()
        assert (
            message.startswith("cpu ran out of memory over a tile of 2000×2000 px")
            and shape == "(1, 8, 8, 3)"
        )
