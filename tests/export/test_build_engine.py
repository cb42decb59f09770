from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import onnx
import pytest
from n2b.export import build_engine as module
from n2b.export.build_engine import (
    BuildSettings,
    Profile,
    build_engine,
    description_path,
    is_installed,
    save_timing_cache,
    use_timing_cache,
    version_of,
)
from n2b.export.build_progress import BuildProgress
from n2b.export.contract import MARK
from n2b.export.onnx_file import read_onnx, to_bytes
from n2b.export.precision import to_fp16
from n2b.runtime.artifact import ModelInfo, sha256_of_file
from n2b.runtime.errors import EnvironmentFault, MissingPackageError

from .conftest import WriteModel

STATIC = Profile((1, 64, 64, 3), (1, 64, 64, 3), (1, 64, 64, 3))
DYNAMIC = Profile((1, 32, 32, 3), (2, 64, 64, 3), (2, 128, 128, 3))
RTX = BuildSettings("tensorrt-rtx", STATIC)

needs_rtx = pytest.mark.skipif(
    not is_installed("tensorrt-rtx"), reason="needs the package tensorrt-rtx, which builds without a GPU"
)


@needs_rtx
@pytest.mark.parametrize("io", ["uint8", "float32"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("profile", [STATIC, DYNAMIC], ids=["static", "dynamic"])
def test_an_engine_and_its_description_are_written(
    bare: onnx.ModelProto, write_model: WriteModel, tmp_path: Path, io: str, precision: str, profile: Profile
) -> None:
    graph = to_fp16(bare) if precision == "fp16" else bare
    model = write_model(graph, io=io, dynamic=profile is DYNAMIC)
    engine = tmp_path / f"model.{precision}.engine"
    told = build_engine(model, engine, BuildSettings("tensorrt-rtx", profile, workspace_gib=0.5))

    assert engine.stat().st_size > 10_000
    text = description_path(engine).read_text(encoding="utf-8")
    assert description_path(engine).name == f"model.{precision}.engine.json"
    read = ModelInfo.from_json(text, source="engine")
    assert (read.io, read.precision) == (told.io, told.precision) == (io, precision)
    assert read.engine["flavour"] == "tensorrt-rtx"
    assert read.engine["version"] == version_of("tensorrt-rtx")
    assert read.engine["precision"] == precision
    assert read.engine["onnx_sha256"] == read.sources["model.onnx"] == sha256_of_file(model)
    shapes = read.engine["profile"]
    assert [tuple(shapes[key]) for key in ("min", "opt", "max")] == [
        profile.smallest,
        profile.best,
        profile.largest,
    ]
    assert set(read.engine) >= {"gpu", "compute_capability"}


@needs_rtx
@pytest.mark.parametrize("opset", [17, 20])
def test_other_opsets_build(
    bare: onnx.ModelProto, write_model: WriteModel, tmp_path: Path, opset: int
) -> None:
    from n2b.export.opset import set_opset

    build_engine(write_model(set_opset(bare, opset)), tmp_path / "model.engine", RTX)
    assert (tmp_path / "model.engine").exists()


@needs_rtx
def test_an_fp16_plan_is_smaller_than_an_fp32_plan(
    bare: onnx.ModelProto, write_model: WriteModel, tmp_path: Path
) -> None:
    fp32, fp16 = tmp_path / "fp32.engine", tmp_path / "fp16.engine"
    build_engine(write_model(bare, "a.onnx"), fp32, RTX)
    build_engine(write_model(to_fp16(bare), "b.onnx"), fp16, RTX)
    assert fp16.stat().st_size < fp32.stat().st_size


@needs_rtx
def test_what_the_parser_refuses_is_told_with_the_name_of_the_node(
    bare: onnx.ModelProto, write_model: WriteModel, tmp_path: Path
) -> None:
    path = write_model(bare)
    model, _ = read_onnx(path)
    to_nchw, to_float = model.graph.node[1], model.graph.node[0]
    to_nchw.input[0], to_nchw.output[0] = "image", "turned"  # a uint8 Transpose, which TensorRT has not
    to_float.input[0], to_float.output[0] = "turned", f"{MARK}input.to_nchw"
    nodes = [to_nchw, to_float, *model.graph.node[2:]]
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    path.write_bytes(to_bytes(model))
    with pytest.raises(EnvironmentFault, match=r"tensorrt-rtx [\d.]+ cannot (read|build)") as caught:
        build_engine(path, tmp_path / "model.engine", RTX)
    assert len(str(caught.value)) > 80
    assert not list(tmp_path.glob("*engine*"))


@needs_rtx
def test_every_parser_error_is_told(bare: onnx.ModelProto, write_model: WriteModel, tmp_path: Path) -> None:
    path = write_model(bare)
    model, _ = read_onnx(path)
    for node in model.graph.node:
        if node.name in ("down.1.leaky_relu", "up.0.0.leaky_relu"):
            node.op_type = "Bernoulli"  # ONNX has it, TensorRT has not
            del node.attribute[:]
    path.write_bytes(to_bytes(model))
    with pytest.raises(EnvironmentFault, match="cannot read the model") as caught:
        build_engine(path, tmp_path / "model.engine", RTX)
    for name in ("down.1.leaky_relu", "up.0.0.leaky_relu"):
        assert f"node '{name}' (Bernoulli): " in str(caught.value)


@needs_rtx
def test_ctrl_c_ends_the_build_and_leaves_nothing(
    bare: onnx.ModelProto, write_model: WriteModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pressed = threading.Event()
    step = BuildProgress.step

    def step_after_ctrl_c(self: BuildProgress, phase: str, number: int) -> bool:
        if not pressed.is_set():
            pressed.set()
            os.kill(os.getpid(), signal.SIGINT)
        cancelled.wait(5)
        return step(self, phase, number)

    cancelled = threading.Event()
    cancel = BuildProgress.cancel

    def tell_cancel(self: BuildProgress) -> None:
        cancel(self)
        cancelled.set()

    monkeypatch.setattr(BuildProgress, "step", step_after_ctrl_c)
    monkeypatch.setattr(BuildProgress, "cancel", tell_cancel)
    with pytest.raises(KeyboardInterrupt):
        build_engine(write_model(bare), tmp_path / "model.engine", RTX)
    assert cancelled.is_set()
    assert not list(tmp_path.glob("*engine*"))


@needs_rtx
def test_phases_of_the_build_reach_the_progress_bar(
    bare: onnx.ModelProto, write_model: WriteModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phases: list[str] = []
    start = BuildProgress.start

    def note(self: BuildProgress, phase: str, parent: str | None, steps: int) -> None:
        phases.append(phase)
        start(self, phase, parent, steps)

    monkeypatch.setattr(BuildProgress, "start", note)
    build_engine(write_model(bare), tmp_path / "model.engine", RTX)
    assert len(phases) > 3


def test_type_stubs_alone_are_no_tensorrt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stubs = tmp_path / "stubs_only"
    stubs.mkdir()
    (stubs / "__init__.pyi").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(module._MODULES, "tensorrt", "stubs_only")
    assert not is_installed("tensorrt")
    with pytest.raises(
        MissingPackageError, match=r"tensorrt is not installed: pip install 'n2b\[tensorrt\]'"
    ):
        version_of("tensorrt")


def test_a_tensorrt_that_does_not_load_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_trt.py").write_text(
        "raise ImportError('libnvinfer.so.10: cannot open shared object')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(module._MODULES, "tensorrt", "broken_trt")
    assert is_installed("tensorrt")
    with pytest.raises(MissingPackageError, match=r"tensorrt cannot be loaded \(libnvinfer\.so\.10"):
        version_of("tensorrt")


class Config:
    """A builder configuration that takes timing caches which begin with `good`."""

    def __init__(self) -> None:
        self.cache: bytes | None = None

    def create_timing_cache(self, data: bytes) -> bytes | None:
        return None if data.startswith(b"damaged") else data

    def set_timing_cache(self, cache: bytes, *, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        if cache and not cache.startswith(b"good"):
            return False
        self.cache = cache
        return True

    def get_timing_cache(self) -> Any:
        cache = self.cache

        class Serializable:
            def serialize(self) -> bytes:
                return (cache or b"good") + b"+more"

        return Serializable()


def use(data: bytes | None, path: Path) -> Config:
    if data is not None:
        path.write_bytes(data)
    config: Any = Config()
    use_timing_cache(config, path)
    return config


def test_kernel_times_are_used_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cache" / "kernels.timing"
    config: Any = use(None, path)
    assert config.cache == b""
    save_timing_cache(config, path)
    assert path.read_bytes() == b"good+more"
    assert use(None, path).cache == b"good+more"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("data", [b"damaged", b"of another GPU"])
def test_kernel_times_that_do_not_fit_are_measured_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes
) -> None:
    assert use(data, tmp_path / "kernels.timing").cache == b""
    assert "kernels are measured anew" in capsys.readouterr().err


def test_kernel_times_that_cannot_be_kept_do_not_fail_the_build(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    config: Any = Config()
    save_timing_cache(config, tmp_path / "file" / "kernels.timing")
    assert "the timing cache was not kept" in capsys.readouterr().err
