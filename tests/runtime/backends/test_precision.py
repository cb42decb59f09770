"""--precision is what was asked for or an error; --fast takes an INT8 file that is faster here."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from n2b.runtime.backends import InputShape, open_backend
from n2b.runtime.backends.onnxruntime.arm_bf16 import multiply_in_bf16
from n2b.runtime.denoiser import Denoiser
from n2b.runtime.errors import DeviceError, ModelError, UserError
from n2b.runtime.model_files import ModelFiles, bundled_models, find_model
from n2b.runtime.model_info import ModelInfo
from n2b.runtime.system import timing
from n2b.runtime.system.files import sha256_of_file


@pytest.fixture
def files(make_model) -> ModelFiles:
    return ModelFiles(onnx=make_model())


@pytest.fixture
def with_int8(files, make_model) -> ModelFiles:
    """A model with its INT8 form next to it."""
    make_model(
        name="model.int8-cpu.onnx",
        precision="int8-cpu",
        sources={"model.onnx": sha256_of_file(files.onnx)},
        calibration={"loss_db": 0.02},
    )
    return files


class TestPrecision:
    def test_int8_is_the_file_next_to_it(self, with_int8):
        with Denoiser(with_int8.onnx, precision="int8", device="cpu") as denoise:
            assert (denoise.precision, denoise.model.name) == ("int8", "model.int8-cpu.onnx")

    @pytest.mark.parametrize("precision", ["auto", "fp32"])
    def test_otherwise_it_is_left_alone(self, with_int8, precision):
        opened = open_backend(with_int8, device="cpu", precision=precision)
        assert (opened.precision, opened.model) == ("fp32", with_int8.onnx)

    def test_an_int8_file_may_be_named_itself(self, with_int8):
        form = ModelFiles(onnx=with_int8.int8_for_cpu)
        assert open_backend(form, device="cpu", precision="int8").model == form.onnx
        with pytest.raises(ModelError, match="computes in int8, not in fp32; name the model's other file"):
            open_backend(form, device="cpu", precision="fp32")

    @pytest.mark.parametrize("backend", ["auto", "onnxruntime"])
    def test_without_an_int8_form_it_says_what_makes_one(self, files, backend):
        with pytest.raises(
            ModelError, match=r"has no INT8 form next to it; n2b-export \S+ --int8 --dynamic makes"
        ):
            open_backend(files, device="cpu", backend=backend, precision="int8")

    def test_a_form_of_another_model_is_refused(self, with_int8, make_model):
        make_model("negative")
        with pytest.raises(ModelError, match=r"int8-cpu\.onnx was made from another model than"):
            open_backend(with_int8, device="cpu", precision="int8")

    def test_what_is_unknown_or_contradicts_itself_is_refused(self, files):
        with pytest.raises(UserError, match="no precision 'int4'; there are auto, fp32, bf16, int8"):
            open_backend(files, precision="int4")  # type: ignore[arg-type]
        with pytest.raises(UserError, match="leave out --fast, or --precision int8"):
            open_backend(files, precision="int8", fast=True)

    def test_it_goes_by_the_command_too_and_into_its_json(self, with_int8, n2b_infer, tmp_path):
        from n2b.runtime import Image, write_image

        write_image(tmp_path / "a.png", Image(np.zeros((16, 16, 3), np.uint8)))
        asked = "a.png", "-m", with_int8.onnx, "--device", "cpu", "--precision", "int8", "--json"
        status, out, _ = n2b_infer(*asked)
        assert status == 0 and '"precision": "int8"' in out and "model.int8-cpu.onnx" in out


class TestBf16:
    def test_a_cpu_without_it_refuses(self, files, monkeypatch):
        monkeypatch.setattr(platform, "machine", lambda: "x86_64")
        with pytest.raises(DeviceError, match="BF16 on 64-bit Arm only; use openvino"):
            open_backend(files, device="cpu", backend="onnxruntime", precision="bf16")

    def test_a_gpu_s_library_refuses(self, files):
        with pytest.raises(DeviceError, match="BF16 is for CPUs"):
            open_backend(files, backend="onnxruntime-tensorrt", precision="bf16")

    def test_an_arm_is_told_to_multiply_in_it(self, monkeypatch, tmp_path):
        entries: dict[str, str] = {}
        options = SimpleNamespace(add_session_config_entry=entries.__setitem__)
        cpuinfo = tmp_path / "cpuinfo"
        cpuinfo.write_text("processor\t: 0\nFeatures\t: fp asimd i8mm bf16 dgh\n")
        monkeypatch.setattr(platform, "machine", lambda: "aarch64")
        multiply_in_bf16(options, cpuinfo=cpuinfo)
        assert entries == {"mlas.enable_gemm_fastmath_arm64_bfloat16": "1"}
        cpuinfo.write_text("processor\t: 0\nFeatures\t: fp asimd\n")
        with pytest.raises(DeviceError, match="this CPU does not compute in BF16"):
            multiply_in_bf16(options, cpuinfo=cpuinfo)


class TestFast:
    @pytest.fixture
    def ticks(self, monkeypatch) -> Callable[..., None]:
        """ticks(fp32, int8): how long each takes in stand-ins of ONNX Runtime; OpenVINO takes one longer."""
        clock = SimpleNamespace(now=0)
        monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: clock.now))
        monkeypatch.setitem(sys.modules, "openvino", ModuleType("openvino"))

        def install(fp32: int, int8: int, loss_db: float | None = 0.02) -> None:
            def library(name: str, slower: int) -> Callable[..., Any]:
                def opened(model: Path, **_: Any) -> Any:
                    is_int8 = "int8" in model.name
                    steps = (int8 if is_int8 else fp32) + slower
                    sha256 = sha256_of_file(model.with_name("model.onnx"))
                    info = ModelInfo("blur", sources={"model.onnx": sha256}, calibration={"loss_db": loss_db})
                    backend = SimpleNamespace(
                        name=name, model=model, passed_over=(), info=info, shape=InputShape(), runs=0,
                        precision="int8" if is_int8 else "fp32", measure_bytes_per_px=lambda: 100.0,
                        close=lambda: None,
                    )  # fmt: skip

                    def run(batch: np.ndarray) -> np.ndarray:
                        backend.runs += 1
                        clock.now += steps
                        return batch

                    backend.run = run
                    return backend

                return opened

            for name, at, slower in (
                ("onnxruntime", "OnnxRuntimeBackend", 0),
                ("openvino", "OpenVinoBackend", 1),
            ):
                monkeypatch.setattr(f"n2b.runtime.backends.{name}.backend.{at}", library(name, slower))

        return install

    def test_the_fastest_of_all_is_taken_and_remembered(self, with_int8, ticks):
        ticks(fp32=8, int8=4)
        opened: Any = open_backend(with_int8, device="cpu", fast=True)
        assert (opened.name, opened.precision) == ("onnxruntime", "int8")
        assert opened.passed_over == (
            "openvino in int8: 0.80× as fast here",
            "onnxruntime in fp32: 0.50× as fast here",
            "openvino in fp32: 0.44× as fast here",
        )
        again: Any = open_backend(with_int8, device="cpu", fast=True)
        assert (again.precision, again.passed_over, again.runs) == ("int8", opened.passed_over, 0)

    def test_int8_that_is_slower_is_not(self, with_int8, ticks):
        ticks(fp32=4, int8=8)
        assert open_backend(with_int8, device="cpu", fast=True).precision == "fp32"

    @pytest.mark.parametrize(
        ("loss_db", "reason"), [(0.31, "int8: loses 0.31 dB"), (None, "int8: its loss is not known")]
    )
    def test_int8_that_loses_too_much_is_not(self, with_int8, ticks, loss_db, reason):
        ticks(fp32=8, int8=4, loss_db=loss_db)
        opened = open_backend(with_int8, device="cpu", fast=True)
        assert opened.precision == "fp32" and reason in opened.passed_over

    def test_a_named_library_is_kept_to(self, with_int8, ticks):
        ticks(fp32=8, int8=4)
        opened = open_backend(with_int8, device="cpu", backend="openvino", fast=True)
        assert (opened.name, opened.precision) == ("openvino", "int8")

    def test_without_an_int8_form_it_says_what_makes_one(self, files, ticks):
        ticks(fp32=8, int8=4)
        opened = open_backend(files, device="cpu", fast=True)
        reason = f"int8: there is no such form; n2b-export {files.onnx} --int8 --dynamic makes one"
        assert opened.passed_over[0] == reason


def test_every_bundled_model_has_an_int8_form_of_its_own() -> None:
    for name, path in bundled_models().items():
        form = find_model(name).int8_for_cpu
        assert form == path.with_name(f"{name}.int8-cpu.onnx")
        assert open_backend(ModelFiles(onnx=path), device="cpu", precision="int8").precision == "int8"
