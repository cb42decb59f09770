"""OpenVINO runs what n2b-export makes, as ONNX Runtime does, and in BF16 only where that is as good."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from n2b.runtime.backends import ASSUMED_BYTES_PER_PX, InputShape
from n2b.runtime.backends.onnxruntime.backend import OnnxRuntimeBackend
from n2b.runtime.backends.openvino import backend as module
from n2b.runtime.backends.openvino import precision as openvino_precision
from n2b.runtime.errors import DeviceError, EnvironmentFault, MissingPackageError, ModelError, OutOfMemory
from n2b.runtime.model_info import ModelInfo
from n2b.runtime.system.memory import resident_bytes

from ..conftest import describe

pytest.importorskip("openvino", reason="needs the package openvino")
pytestmark = pytest.mark.openvino
OpenVinoBackend = module.OpenVinoBackend


@pytest.fixture(autouse=True)
def auto_takes_onnxruntime() -> None:
    """Leave OpenVINO visible here."""


@pytest.fixture
def in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a CPU that has no BF16."""
    monkeypatch.setattr(module, "has_bf16", lambda _core: False)


@pytest.fixture
def cpu_with_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "has_bf16", lambda _core: True)


def random_image(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.usefixtures("in_fp32")
class TestInFp32:
    @pytest.mark.parametrize("network", ["negative", "blur", "unet"])
    def test_it_computes_what_onnxruntime_does(self, make_model, network):
        path = make_model(network)
        batch = random_image(2, 32, 48, 3)
        expected = OnnxRuntimeBackend(path, device="cpu").run(batch).astype(int)
        backend = OpenVinoBackend(path)
        assert abs(backend.run(batch) - expected).max() <= 1
        assert (backend.name, backend.device, backend.precision) == ("openvino", "cpu", "fp32")

    def test_float32_models_are_taken(self, make_model):
        path = make_model("blur", io="float32")
        batch = np.random.default_rng(0).random((1, 16, 16, 3), np.float32)
        expected = OnnxRuntimeBackend(path, device="cpu").run(batch)
        np.testing.assert_allclose(OpenVinoBackend(path).run(batch), expected, atol=1e-6)

    def test_sizes_may_come_in_any_order(self, make_model):
        backend = OpenVinoBackend(make_model("negative"))
        for shape in ((1, 4, 4, 3), (2, 4, 4, 3), (1, 8, 4, 3), (1, 4, 4, 3)):
            batch = random_image(*shape)
            np.testing.assert_array_equal(backend.run(batch), 255 - batch)

    def test_reads_description_and_sizes_from_the_file(self, make_model):
        fixed = OpenVinoBackend(make_model("blur", tile=(8, 16), batch=2, io="float32", parameters=27))
        assert fixed.shape == InputShape(2, 8, 16)
        assert fixed.info.io == "float32" and fixed.info.parameters == 27
        assert OpenVinoBackend(make_model("blur")).shape == InputShape(None, None, None)

    @pytest.mark.skipif(resident_bytes() is None, reason="only Linux tells a process's memory")
    def test_bytes_per_px_are_measured(self, make_model):
        path = make_model("wide")
        for _ in range(6):  # what malloc keeps of one must not be taken for less that the next needs
            measured = OpenVinoBackend(path).measure_bytes_per_px()
            assert measured != ASSUMED_BYTES_PER_PX
            assert (
                256 < measured < 1024
            )  # its 64 maps of float32 are there once or twice, and a little beside

    def test_a_batch_that_does_not_fit_says_so_and_a_smaller_one_runs(self, make_model):
        backend = OpenVinoBackend(make_model("wide"))
        huge = np.broadcast_to(np.zeros(3, np.uint8), (1, 1 << 20, 1 << 20, 3))  # a terabyte, in three bytes
        with pytest.raises(OutOfMemory, match=r"cpu ran out of memory over a tile of 1048576×1048576 px"):
            backend.run(huge)
        assert backend.run(random_image(1, 8, 8, 3)).shape == (1, 8, 8, 3)

    def test_a_failing_run_says_so(self, make_model):
        backend = OpenVinoBackend(make_model("blur", tile=8, batch=1))
        with pytest.raises(EnvironmentFault, match="OpenVINO failed") as error:
            backend.run(np.zeros((1, 9, 8, 3), np.uint8))
        assert "\n" not in str(error.value)


class TestPrecision:
    @pytest.fixture(autouse=True)
    def _bf16(self, cpu_with_bf16):
        pass

    @pytest.fixture
    def measures(self, monkeypatch):
        """measures(FP32, BF16): the PSNR of a result in each; a list of what was measured."""
        calls: list[float] = []

        def install(*psnr_db: float) -> list[float]:
            def psnr(*_: object) -> float:
                calls.append(psnr_db[len(calls) % 2])
                return calls[-1]

            monkeypatch.setattr(openvino_precision, "psnr", psnr)
            return calls

        return install

    @pytest.mark.parametrize(("psnr_db", "precision"), [(29.94, "fp32"), (29.96, "bf16")])
    def test_bf16_is_taken_where_it_loses_little(self, make_model, measures, psnr_db, precision):
        measures(30.0, psnr_db)
        backend = OpenVinoBackend(make_model("negative"))
        assert backend.precision == precision
        assert backend._hint == {"fp32": "f32", "bf16": "bf16"}[precision]
        assert backend.passed_over == (() if precision == "bf16" else ("bf16: loses 0.06 dB",))

    @pytest.mark.parametrize(("precision", "hint"), [("fp32", "f32"), ("bf16", "bf16")])
    def test_what_is_asked_for_is_not_measured(self, make_model, measures, precision, hint):
        calls = measures(30.0, 20.0)
        backend = OpenVinoBackend(make_model("negative"), precision=precision)
        assert (backend.precision, backend._hint, calls) == (precision, hint, [])

    def test_it_is_tried_once_a_model(self, make_model, measures, cache_of_its_own):
        calls = measures(30.0, 30.0)
        first, other = make_model("negative"), make_model("blur", name="other.onnx")
        assert [OpenVinoBackend(path).precision for path in (first, first, other)] == ["bf16"] * 3
        assert len(calls) == 4
        for kept in cache_of_its_own.iterdir():
            kept.write_bytes(b'{"loss_db": ')  # damaged
        assert OpenVinoBackend(first).precision == "bf16" and len(calls) == 6

    def test_a_result_that_is_no_number_is_not_taken(self, make_model, measures):
        measures(30.0, float("nan"))
        assert OpenVinoBackend(make_model("negative")).precision == "fp32"

    def test_the_rest_of_an_int8_file_is_told(self, make_model, measures):
        measures(30.0, 30.0)
        assert OpenVinoBackend(make_model(precision="int8-cpu")).precision == "int8, bf16"

    def test_the_picture_is_noisy_always_the_same_and_of_the_batch_s_kind(self):
        clean, levels = openvino_precision.trial_images(np.zeros((2, 64, 96, 3), np.uint8))
        _, again = openvino_precision.trial_images(np.zeros((1, 64, 96, 3), np.float32))
        assert levels.shape == (2, 64, 96, 3) and levels.dtype == clean.dtype == np.uint8
        assert clean.shape == np.concatenate(levels).shape
        assert again.dtype == np.float32 and abs(again * 255 - levels[:1]).max() <= 0.51
        assert 8 < (np.concatenate(levels) - clean.astype(float)).std() < 12


@pytest.mark.usefixtures("in_fp32")
class TestRefusals:
    def test_int8_files_of_tensorrt_are_refused(self, make_model):
        with pytest.raises(ModelError, match=r"wrongly.*use the one for CPUs, model\.int8-cpu\.onnx"):
            OpenVinoBackend(make_model(precision="int8"))

    @pytest.mark.parametrize("kept", [0.05, 0.5, 0.99])
    def test_a_truncated_file_is_refused(self, make_model, kept):
        path = make_model("unet")
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * kept)])
        with pytest.raises(ModelError, match=r"model\.onnx cannot be loaded") as error:
            OpenVinoBackend(path)
        assert "\n" not in str(error.value)

    def test_a_missing_file_is_refused(self, tmp_path):
        with pytest.raises(ModelError, match="there is no model"):
            OpenVinoBackend(tmp_path / "model.onnx")

    def test_a_file_without_description_is_refused(self, make_model):
        with pytest.raises(ModelError, match=r"does not describe itself.*use n2b-export"):
            OpenVinoBackend(make_model(described=False))

    def test_a_description_of_another_dtype_is_refused(self, make_model):
        path = make_model(io="uint8")
        describe(path, ModelInfo("blur", io="float32").to_json())
        with pytest.raises(ModelError, match="takes uint8, but its description says float32"):
            OpenVinoBackend(path)

    def test_a_cpu_without_bf16_refuses_it(self, make_model):
        with pytest.raises(DeviceError, match="this CPU does not compute in BF16; leave --precision out"):
            OpenVinoBackend(make_model(), precision="bf16")

    def test_a_gpu_is_refused(self, tmp_path):
        with pytest.raises(DeviceError, match="runs on the CPU only, not on cuda:1"):
            OpenVinoBackend(tmp_path / "model.onnx", device="cuda:1")


def test_openvino_that_is_missing_names_what_to_install(make_model, monkeypatch):
    path: Path = make_model()
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(
        MissingPackageError, match=r"openvino is not installed: pip install 'noise2blur\[openvino\]'"
    ):
        OpenVinoBackend(path)
