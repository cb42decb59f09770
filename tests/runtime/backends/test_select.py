"""`auto` takes the best that opens, and says why not the others."""

from __future__ import annotations

import json
import re
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from n2b.runtime.backends import (
    InputShape,
    open_backend,
)
from n2b.runtime.backends import (
    select as choice,
)
from n2b.runtime.errors import EnvironmentFault, MissingPackageError, ModelError, UserError
from n2b.runtime.model_files import ModelFiles
from n2b.runtime.model_info import ModelInfo
from n2b.runtime.system import timing as turns
from n2b.runtime.system.gpu import Gpu

BACKENDS = "n2b.runtime.backends"


class Library:
    """A stand-in for a backend's class: opens, fails to open, or runs slowly."""

    def __init__(
        self, name: str, steps: int = 1, error: Exception | None = None, run_error: Exception | None = None
    ) -> None:
        self.name, self.steps, self.error, self.run_error = name, steps, error, run_error
        self.opened: list[Any] = []

    def __call__(self, model: Any, **options: Any) -> Any:
        if self.error is not None:
            raise self.error
        backend = SimpleNamespace(
            name=self.name, model=model, device="cpu", passed_over=(), runs=0, is_closed=False,
            info=ModelInfo("blur"), shape=InputShape(), options=options, measure_bytes_per_px=lambda: 100.0,
        )  # fmt: skip

        def run(batch: np.ndarray) -> np.ndarray:
            backend.runs += 1
            CLOCK.now += self.steps
            if self.run_error is not None:
                raise self.run_error
            return batch

        backend.run, backend.close = run, lambda: setattr(backend, "is_closed", True)
        self.opened.append(backend)
        return backend


class Clock:
    """Time that passes only while a stand-in runs."""

    now = 0.0


CLOCK = Clock()


@pytest.fixture
def libraries(monkeypatch: pytest.MonkeyPatch):
    """libraries(onnxruntime=…, openvino=…): Library's arguments of those that are installed."""
    monkeypatch.setattr(turns, "time", SimpleNamespace(perf_counter=lambda: CLOCK.now))

    def install(**installed: dict[str, Any]) -> SimpleNamespace:
        classes = {name: Library(name, **options) for name, options in installed.items()}
        missing = {name: Library(name) for name in ("onnxruntime", "openvino") if name not in classes}
        everything = {**missing, **classes}
        monkeypatch.setattr(f"{BACKENDS}.onnxruntime.backend.OnnxRuntimeBackend", everything["onnxruntime"])
        monkeypatch.setattr(f"{BACKENDS}.openvino.backend.OpenVinoBackend", everything["openvino"])
        for name in ("onnxruntime", "openvino"):
            module = ModuleType(name)
            module.get_available_providers = lambda: ["CPUExecutionProvider"]  # type: ignore[attr-defined]
            monkeypatch.setitem(sys.modules, name, module if name in classes else None)
        return SimpleNamespace(**classes)

    return install


@pytest.fixture
def files(make_model) -> ModelFiles:
    return ModelFiles(onnx=make_model())


def open_on_cpu(files: ModelFiles) -> Any:
    """Return the stand-in that `auto` takes; it counts its runs."""
    return open_backend(files, device="cpu")


class TestOnACpu:
    @pytest.mark.parametrize(("onnxruntime", "openvino"), [(5, 3), (3, 5)])
    def test_the_faster_library_is_taken_and_the_other_told(self, libraries, files, onnxruntime, openvino):
        libraries = libraries(onnxruntime={"steps": onnxruntime}, openvino={"steps": openvino})
        opened = open_on_cpu(files)
        winner, loser = sorted([libraries.onnxruntime, libraries.openvino], key=lambda library: library.steps)
        assert opened is winner.opened[0] and not opened.is_closed
        assert opened.passed_over == (f"{loser.name}: 0.60× as fast here",)
        assert loser.opened[0].is_closed

    def test_they_race_once_a_model(self, libraries, files, make_model):
        libraries = libraries(onnxruntime={"steps": 2}, openvino={})
        first = open_on_cpu(files)
        again = open_on_cpu(files)
        assert (again.name, again.passed_over) == (first.name, first.passed_over)
        assert again.runs == 0 and len(libraries.onnxruntime.opened) == 1
        open_on_cpu(ModelFiles(onnx=make_model("negative", name="other.onnx")))
        assert len(libraries.onnxruntime.opened) == 2

    @pytest.mark.parametrize(
        "content", ["", "{", "[]", '{"taken": "caffe", "passed_over": []}', '{"taken": []}']
    )
    def test_a_damaged_outcome_is_found_out_again(self, libraries, files, cache_of_its_own, content):
        libraries(onnxruntime={"steps": 2}, openvino={})
        open_on_cpu(files)
        (kept,) = cache_of_its_own.glob("fastest-*.json")
        good = kept.read_text()
        kept.write_text(content)
        assert open_on_cpu(files).runs > 0
        assert json.loads(kept.read_text()) == json.loads(good)

    def test_another_version_races_again(self, libraries, files, monkeypatch):
        libraries = libraries(onnxruntime={"steps": 2}, openvino={})
        open_on_cpu(files)
        monkeypatch.setattr("n2b.runtime.backends.autotune_cache.version", lambda _package: "99.0")
        assert open_on_cpu(files).runs > 0

    def test_a_cache_that_cannot_be_written_does_no_harm(self, libraries, files, cache_of_its_own):
        cache_of_its_own.write_text("no folder")
        libraries(onnxruntime={"steps": 2}, openvino={})
        assert open_on_cpu(files).name == "openvino"

    def test_a_winner_that_no_longer_opens_gives_way(self, libraries, files):
        libraries = libraries(onnxruntime={"steps": 2}, openvino={})
        assert open_on_cpu(files).name == "openvino"
        libraries.openvino.error = MissingPackageError("openvino", reason="broken")
        opened = open_on_cpu(files)
        assert opened.name == "onnxruntime"
        assert opened.passed_over[0].startswith("openvino: openvino cannot be loaded (broken)")

    def test_a_file_that_one_does_not_take_goes_to_the_other(self, libraries, files, cache_of_its_own):
        libraries(onnxruntime={}, openvino={"error": ModelError("OpenVINO computes it wrongly")})
        opened = open_on_cpu(files)
        assert (opened.name, opened.passed_over) == (
            "onnxruntime",
            ("openvino: OpenVINO computes it wrongly",),
        )
        assert not list(cache_of_its_own.glob("fastest-*"))

    def test_a_file_that_none_takes_is_refused(self, libraries, files):
        libraries(onnxruntime={"error": ModelError("damaged")}, openvino={"error": ModelError("bad")})
        with pytest.raises(ModelError, match="damaged"):
            open_on_cpu(files)

    def test_what_is_not_installed_is_told_with_the_way_to_it(self, libraries, files):
        libraries(onnxruntime={})
        opened = open_on_cpu(files)
        assert opened.passed_over == ("openvino: not installed: pip install 'noise2blur[openvino]'",)
        assert opened.runs == 0

    def test_without_any_it_says_what_to_install(self, files, monkeypatch):
        for name in ("onnxruntime", "openvino"):
            monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(MissingPackageError, match=r"pip install onnxruntime"):
            open_on_cpu(files)

    def test_a_library_that_fails_as_they_are_compared_leaves_nothing_open(self, libraries, files):
        libraries = libraries(onnxruntime={}, openvino={"run_error": EnvironmentFault("interrupted")})
        with pytest.raises(EnvironmentFault, match="interrupted"):
            open_on_cpu(files)
        assert libraries.onnxruntime.opened[0].is_closed and libraries.openvino.opened[0].is_closed


class TestOnAGpu:
    @pytest.fixture
    def gpu(self, monkeypatch):
        monkeypatch.setattr(choice, "find_gpu", lambda _index: Gpu("RTX 4090", "8.9"))

    def test_cuda_goes_before_the_cpu(self, gpu, libraries, files, monkeypatch):  # noqa: ARG002
        libraries(onnxruntime={}, openvino={})
        monkeypatch.setattr("n2b.runtime.backends.onnxruntime.session.has_cuda", lambda: True)
        taken: list[dict[str, Any]] = []

        def open_onnx(path: Any, **options: Any) -> Any:
            taken.append(options)
            return Library("onnxruntime")(path)

        monkeypatch.setattr("n2b.runtime.backends.onnxruntime.backend.OnnxRuntimeBackend", open_onnx)
        open_backend(files, max_memory_mb=500)
        expected = {"name": "onnxruntime", "device": "auto", "strict": False, "max_memory_mb": 500}
        assert taken == [{**expected, "precision": "auto"}]

    def test_a_gpu_that_onnxruntime_cannot_use_is_told(self, gpu, libraries, files, monkeypatch):  # noqa: ARG002
        libraries(onnxruntime={})
        monkeypatch.setattr("n2b.runtime.backends.onnxruntime.session.has_cuda", lambda: False)
        opened = open_backend(files)
        assert opened.passed_over[0].startswith("cuda: this ONNX Runtime was built without CUDA: pip install")

    def test_an_engine_that_does_not_open_is_among_what_was_passed_over(
        self, libraries, files, tmp_path, caplog
    ):
        libraries(onnxruntime={})
        engine = tmp_path / "model.engine"
        engine.write_bytes(b"plan")
        both = ModelFiles(onnx=files.onnx, engine=engine)
        opened = open_backend(both)
        assert re.search("using .*, since .*describes the engine", caplog.text)
        assert opened.passed_over[0].startswith("tensorrt: ") and "cannot be read" in opened.passed_over[0]
        with pytest.raises(ModelError, match="cannot be read"):
            open_backend(both, strict=True)


class TestNamed:
    def test_a_named_backend_passes_nothing_over(self, files, caplog):
        assert open_backend(files, backend="onnxruntime", device="cpu", strict=True).passed_over == ()
        assert not caplog.messages

    @pytest.mark.parametrize("backend", ["onnxruntime-tensorrt", "onnxruntime-rtx", "openvino"])
    def test_a_named_backend_is_never_replaced(self, files, backend, monkeypatch):
        monkeypatch.setitem(sys.modules, "openvino", None)
        monkeypatch.setitem(sys.modules, "onnxruntime_ep_nv_tensorrt_rtx", None)
        monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
        with pytest.raises(EnvironmentFault, match="pip install"):
            open_backend(files, backend=backend)

    def test_an_unknown_cuda_api_is_refused(self, files):
        with pytest.raises(UserError, match="no CUDA api 'cupy'"):
            open_backend(files, cuda_api="cupy")
