"""Models that are what they say run; all others end in one line that says what to do."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import onnxruntime
import pytest
from n2b.runtime.backends import ASSUMED_BYTES_PER_PX, InputShape, open_backend, parse_device
from n2b.runtime.backends.onnxruntime.backend import OnnxRuntimeBackend
from n2b.runtime.backends.tensorrt import backend as tensorrt
from n2b.runtime.errors import DeviceError, EnvironmentFault, MissingPackageError, ModelError, UserError
from n2b.runtime.model_files import ModelFiles, default_for_camera, find_model
from n2b.runtime.model_info import ModelInfo
from n2b.runtime.system.memory import resident_bytes

from ..conftest import describe

needs_proc = pytest.mark.skipif(resident_bytes() is None, reason="only Linux tells a process's memory")
cpu_only = pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="this ONNX Runtime has CUDA"
)


def one_line(error: pytest.ExceptionInfo[BaseException]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


class TestOnnxRuntime:
    def test_runs_what_the_graph_computes(self, make_model):
        backend = OnnxRuntimeBackend(make_model("negative"))
        batch = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
        np.testing.assert_array_equal(backend.run(batch), 255 - batch)

    def test_reads_description_and_sizes_from_the_file(self, make_model):
        fixed = OnnxRuntimeBackend(make_model("blur", tile=(8, 16), batch=2, io="float32", parameters=27))
        assert fixed.shape == InputShape(2, 8, 16)
        assert fixed.info.io == "float32" and fixed.info.parameters == 27
        assert OnnxRuntimeBackend(make_model("blur")).shape == InputShape(None, None, None)

    def test_a_result_outlives_the_next_run(self, make_model):
        backend = OnnxRuntimeBackend(make_model("negative"))
        first = backend.run(np.full((1, 4, 4, 3), 10, np.uint8))
        backend.run(np.full((1, 4, 4, 3), 20, np.uint8))
        assert (first == 245).all()

    @pytest.mark.parametrize("kept", [0.0, 0.05, 0.5, 0.99])
    def test_a_truncated_file_is_refused(self, make_model, kept):
        path = make_model("unet")
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * kept)])
        with pytest.raises(ModelError, match=r"model\.onnx (cannot be loaded|is empty)") as error:
            OnnxRuntimeBackend(path)
        one_line(error)

    def test_a_file_without_description_is_refused(self, make_model):
        with pytest.raises(ModelError, match=r"does not describe itself.*use n2b-export"):
            OnnxRuntimeBackend(make_model(described=False))

    def test_a_damaged_description_is_refused(self, make_model):
        path = make_model()
        describe(path, "{")
        with pytest.raises(ModelError, match="not valid JSON; export the model again"):
            OnnxRuntimeBackend(path)

    def test_a_description_of_another_dtype_is_refused(self, make_model):
        path = make_model(io="uint8")
        describe(path, ModelInfo("blur", io="float32").to_json())
        with pytest.raises(ModelError, match="takes uint8, but its description says float32"):
            OnnxRuntimeBackend(path)

    def test_a_tile_that_the_network_cannot_take_is_refused(self, make_model):
        with pytest.raises(ModelError, match="tiles of 48×64 px, but its network needs multiples of 32"):
            OnnxRuntimeBackend(make_model("blur", tile=(48, 64), size_multiple_px=32))

    @pytest.mark.parametrize("change", ["name", "dtype", "channels", "outputs"])
    def test_another_kind_of_graph_is_refused_with_what_is_expected(self, make_model, change):
        path = make_model("identity", tile=8, batch=1)
        model = onnx.load(path)
        graph = model.graph
        if change == "name":
            graph.input[0].name = graph.node[0].input[0] = "x"
        elif change == "dtype":
            graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT32
            graph.node[-1].attribute[0].i = onnx.TensorProto.INT32
        elif change == "channels":
            for value in (graph.input[0], graph.output[0]):
                value.type.tensor_type.shape.dim[3].dim_value = 4
        else:
            graph.output.append(graph.input[0])
        onnx.save(model, path)
        expected = r"is not a denoiser of n2b: .*expected is image → denoised, both N×H×W×3"
        with pytest.raises(ModelError, match=expected) as error:
            OnnxRuntimeBackend(path)
        one_line(error)

    def test_a_failing_run_says_so(self, make_model):
        backend = OnnxRuntimeBackend(make_model("blur", tile=8, batch=1))
        with pytest.raises(EnvironmentFault, match="ONNX Runtime failed on cpu") as error:
            backend.run(np.zeros((1, 9, 8, 3), np.uint8))
        one_line(error)

    @needs_proc
    def test_bytes_per_px_are_measured(self, make_model):
        path = make_model("wide")
        for _ in range(6):  # what malloc keeps of one must not be taken for less that the next needs
            measured = OnnxRuntimeBackend(path).measure_bytes_per_px()
            assert measured != ASSUMED_BYTES_PER_PX
            assert (
                256 < measured < 1024
            )  # its 64 maps of float32 are there once or twice, and a little beside

    @cpu_only
    def test_cuda_that_is_not_there_is_reported_or_with_strict_an_error(self, make_model, caplog):
        path = make_model()
        assert OnnxRuntimeBackend(path, device="cuda").device == "cpu"
        assert re.search(r"using the CPU, since .*pip install onnxruntime-gpu", caplog.text)
        with pytest.raises(DeviceError, match=r"without CUDA"):
            OnnxRuntimeBackend(path, device="cuda", strict=True)

    @cpu_only
    @pytest.mark.parametrize("device", ["auto", "cpu"])
    def test_auto_and_cpu_need_no_report(self, make_model, device, caplog):
        assert OnnxRuntimeBackend(make_model(), device=device, strict=True).device == "cpu"
        assert not caplog.messages

    def test_onnxruntime_that_is_missing_names_what_to_install(self, make_model, monkeypatch):
        path = make_model()
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        with pytest.raises(MissingPackageError, match=r"pip install onnxruntime"):
            OnnxRuntimeBackend(path)


class TestChoice:
    def test_unknown_names_are_refused(self, make_model):
        files = ModelFiles(onnx=make_model())
        with pytest.raises(
            UserError, match="no backend 'caffe'; there are auto, onnxruntime, openvino, tensorrt"
        ):
            open_backend(files, backend="caffe")
        with pytest.raises(UserError, match="no device 'gpu'"):
            open_backend(files, device="gpu")

    @pytest.mark.parametrize("device", ["cuda:", "cuda:x", "cpu:1", "auto:0", "", "cuda:-1"])
    def test_malformed_devices_are_refused(self, device):
        with pytest.raises(UserError, match="no device"):
            parse_device(device)

    def test_devices_have_an_index(self):
        assert parse_device("cuda") == ("cuda", 0)
        assert parse_device("cuda:3") == ("cuda", 3)

    def test_a_backend_needs_its_kind_of_file(self, make_model, tmp_path):
        with pytest.raises(ModelError, match=r"tensorrt needs an engine: n2b-export .* builds one"):
            open_backend(ModelFiles(onnx=make_model()), backend="tensorrt")
        with pytest.raises(ModelError, match=r"onnxruntime needs an \.onnx file"):
            open_backend(ModelFiles(engine=tmp_path / "model.engine"), backend="onnxruntime")

    def test_an_engine_does_not_run_on_the_cpu(self, tmp_path):
        with pytest.raises(DeviceError, match=r"runs on an NVIDIA GPU only; for cpu name the \.onnx file"):
            open_backend(ModelFiles(engine=tmp_path / "model.engine"), device="cpu")

    def test_an_engine_that_cannot_run_gives_way_to_onnx_with_a_report(self, make_model, engine, caplog):
        files = ModelFiles(onnx=make_model(), engine=engine(flavour="tensorrt"))
        assert open_backend(files).name == "onnxruntime"
        assert re.search(r"using .*model\.onnx, since tensorrt is not installed", caplog.text)
        with pytest.raises(MissingPackageError, match="tensorrt is not installed"):
            open_backend(files, strict=True)
        with pytest.raises(MissingPackageError, match="tensorrt is not installed"):
            open_backend(files, backend="tensorrt")

    def test_asking_for_the_cpu_passes_the_engine_by_without_a_word(self, make_model, engine, caplog):
        files = ModelFiles(onnx=make_model(), engine=engine())
        assert open_backend(files, device="cpu", strict=True).name == "onnxruntime"
        assert not caplog.messages


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """engine(flavour=…) → an engine file that nothing can run, with its description; no TensorRT is there."""
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)

    def make(*, flavour: str = "tensorrt", description: str | None = None) -> Path:
        path = tmp_path / "model.engine"
        path.write_bytes(b"ftrt, but not really")
        info = ModelInfo("unet", engine={"flavour": flavour, "version": "10.3.0", "gpu": "Orin"})
        path.with_name("model.engine.json").write_text(info.to_json() if description is None else description)
        return path

    return make


class TestTensorRT:
    @pytest.mark.parametrize("flavour", ["tensorrt", "tensorrt-rtx"])
    def test_a_missing_package_is_named(self, engine, flavour):
        with pytest.raises(MissingPackageError, match=rf"{flavour} is not installed: pip install {flavour}"):
            open_backend(ModelFiles(engine=engine(flavour=flavour)))

    def test_type_stubs_do_not_pass_for_the_package(self, engine, monkeypatch):
        monkeypatch.setitem(sys.modules, "tensorrt", ModuleType("tensorrt"))
        with pytest.raises(MissingPackageError, match="tensorrt is not installed"):
            open_backend(ModelFiles(engine=engine()))

    def test_missing_cuda_bindings_are_named(self, engine, monkeypatch):
        stand_in = ModuleType("tensorrt")
        stand_in.__dict__.update(Runtime=object, __version__="10.3.0")
        monkeypatch.setattr(tensorrt, "find_gpu", lambda _index: None)
        monkeypatch.setitem(sys.modules, "tensorrt", stand_in)
        monkeypatch.setitem(sys.modules, "cuda.bindings.driver", None)
        with pytest.raises(MissingPackageError, match="cuda-bindings is not installed"):
            open_backend(ModelFiles(engine=engine()))

    def test_an_engine_without_description_is_refused(self, engine):
        path = engine()
        path.with_name("model.engine.json").unlink()
        with pytest.raises(ModelError, match=r"model\.engine\.json .*cannot be read; use n2b-export"):
            open_backend(ModelFiles(engine=path))

    @pytest.mark.parametrize("description", ["", "[]", json.dumps({"schema": 1})])
    def test_a_damaged_description_is_refused(self, engine, description):
        with pytest.raises(ModelError, match=r"model\.engine\.json"):
            open_backend(ModelFiles(engine=engine(description=description)))

    def test_a_description_of_no_engine_is_refused(self, engine):
        with pytest.raises(ModelError, match="describes no engine of tensorrt or tensorrt-rtx"):
            open_backend(ModelFiles(engine=engine(description=ModelInfo("unet").to_json())))


class TestFindModel:
    def test_names_mean_files_and_folders(self, make_model, engine):
        onnx_path, engine_path = make_model(), engine()
        assert find_model(onnx_path) == ModelFiles(onnx=onnx_path)
        assert find_model(str(engine_path)) == ModelFiles(engine=engine_path)
        assert find_model(onnx_path.parent) == ModelFiles(onnx_path, engine_path)

    def test_an_engine_of_an_export_is_found_by_its_precision(self, make_model, tmp_path):
        make_model()
        (tmp_path / "model.fp32.engine").touch()
        assert find_model(tmp_path).engine == tmp_path / "model.fp32.engine"
        (tmp_path / "model.fp16.engine").touch()
        assert find_model(tmp_path).engine == tmp_path / "model.fp16.engine"

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("missing.onnx", "there is no model"),
            ("folder", "contains neither model.onnx nor an engine"),
            ("notes.txt", "is neither an .onnx nor an .engine file"),
            ("final.safetensors", "make one from the checkpoint with n2b-export"),
        ],
    )
    def test_everything_else_says_what_would_do(self, tmp_path, name, reason):
        (tmp_path / "folder").mkdir()
        (tmp_path / "notes.txt").touch()
        (tmp_path / "final.safetensors").touch()
        with pytest.raises(ModelError, match=reason):
            find_model(tmp_path / name)

    def test_without_a_name_the_latest_export_comes_before_the_bundled_model(
        self, make_model, tmp_path, monkeypatch
    ):
        bundled = make_model(name="bundled/gaussian.onnx")
        monkeypatch.setattr("n2b.runtime.model_files.BUNDLED", bundled.parent)
        monkeypatch.chdir(tmp_path)
        assert find_model() == find_model(default_for_camera()) == ModelFiles(onnx=bundled)
        make_model(name="exports/20250131-235959/model.onnx")
        Path("exports/latest").symlink_to("20250131-235959", target_is_directory=True)
        assert find_model() == ModelFiles(onnx=Path("exports/latest/model.onnx"))
        assert default_for_camera() is None

    def test_a_camera_takes_the_bundled_model_for_cameras_and_names_are_known(
        self, make_model, tmp_path, monkeypatch
    ):
        for name in ("gaussian", "camera"):
            make_model(name=f"bundled/{name}.onnx")
        monkeypatch.setattr("n2b.runtime.model_files.BUNDLED", tmp_path / "bundled")
        monkeypatch.chdir(tmp_path)
        assert default_for_camera() == "camera"
        assert find_model("camera") == ModelFiles(onnx=tmp_path / "bundled/camera.onnx")
        with pytest.raises(ModelError, match="one of: camera, gaussian"):
            find_model("cinema")
        Path("camera").mkdir()  # a path of that name goes first
        with pytest.raises(ModelError, match=r"neither model\.onnx nor an engine"):
            find_model("camera")

    def test_without_any_model_it_says_how_to_name_one(self, tmp_path, monkeypatch):
        monkeypatch.setattr("n2b.runtime.model_files.BUNDLED", tmp_path / "none")
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ModelError, match="no bundled model; name a model with -m"):
            find_model()
