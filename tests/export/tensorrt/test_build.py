from __future__ import annotations

import dataclasses
import os
import signal
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from n2b.export.onnx.file import read_onnx, to_bytes, write_description
from n2b.export.onnx.float16 import to_fp16
from n2b.export.onnx.io_contract import PREFIX
from n2b.export.tensorrt.build import build_engine, description_path
from n2b.export.tensorrt.messages import BuildProgress
from n2b.export.tensorrt.options import BuilderOptions
from n2b.export.tensorrt.plan import BuildSettings
from n2b.export.tensorrt.profile import Profile
from n2b.runtime.errors import EnvironmentFault
from n2b.runtime.model_info import ModelInfo
from n2b.runtime.system.files import sha256_of_file
from n2b.runtime.system.gpu import find_gpu
from n2b.runtime.system.tensorrt import is_installed, version_of
from onnx import helper, numpy_helper

from ..conftest import WriteModel, clone

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
    info = build_engine(model, engine, BuildSettings("tensorrt-rtx", profile, workspace_gib=0.5))

    assert engine.stat().st_size > 10_000
    text = description_path(engine).read_text(encoding="utf-8")
    assert description_path(engine).name == f"model.{precision}.engine.json"
    read = ModelInfo.from_json(text, source="engine")
    assert (read.io, read.precision) == (info.io, info.precision) == (io, precision)
    assert read.engine["flavour"] == "tensorrt-rtx"
    assert read.engine["version"] == version_of("tensorrt-rtx")
    assert read.engine["precision"] == read.engine["precision_asked"] == precision
    assert set(read.engine["convolutions"]) == {precision}
    assert read.engine["onnx"] == "model.onnx"
    assert read.engine["workspace_gib"] == 0.5
    assert "ranges_sha256" not in read.engine
    assert read.engine["onnx_sha256"] == read.sources["model.onnx"] == sha256_of_file(model)
    shapes = read.engine["profile"]
    assert [tuple(shapes[key]) for key in ("min", "opt", "max")] == [
        profile.smallest,
        profile.best,
        profile.largest,
    ]
    assert set(read.engine) >= {"gpu", "compute_capability"}


@needs_rtx
def test_a_portable_engine_says_what_it_runs_on(
    bare: onnx.ModelProto, write_model: WriteModel, tmp_path: Path
) -> None:
    model, here, everywhere = write_model(bare), tmp_path / "here.engine", tmp_path / "everywhere.engine"
    assert build_engine(model, here, RTX).engine["portable"] is None
    settings = BuildSettings("tensorrt-rtx", STATIC, options=BuilderOptions(portable=True))
    assert {"7.5", "8.9", "12.0"} <= set(build_engine(model, everywhere, settings).engine["portable"])
    assert everywhere.stat().st_size > here.stat().st_size


@needs_rtx
def test_quantised_convolutions_count_as_int8(
    bare: onnx.ModelProto, write_model: WriteModel, tmp_path: Path
) -> None:
    convolutions = [node.name for node in bare.graph.node if node.op_type == "Conv"]
    path = write_model(with_quantised_inputs(bare, convolutions[1:3]))
    with pytest.raises(EnvironmentFault, match=r"fp32 was asked for, but TensorRT built int8"):
        build_engine(path, tmp_path / "model.engine", RTX)

    model, described = read_onnx(path)
    sources = {**described.sources, "ranges.json": "5e" * 32}
    write_description(model, dataclasses.replace(described, precision="int8", sources=sources))
    path.write_bytes(to_bytes(model))
    engine = build_engine(path, tmp_path / "model.engine", RTX).engine
    assert engine["precision"] == engine["precision_asked"] == "int8"
    assert engine["convolutions"] == {"int8": 2, "fp32": len(convolutions) - 2}
    assert engine["ranges_sha256"] == "5e" * 32


@pytest.mark.gpu
@pytest.mark.skipif(find_gpu() is None, reason="needs an NVIDIA GPU, and this machine has none")
@pytest.mark.skipif(not is_installed("tensorrt"), reason="needs the package tensorrt")
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_where_there_is_a_gpu_the_precision_is_that_of_the_engine(
    bare: onnx.ModelProto, write_model: WriteModel, tmp_path: Path, precision: str
) -> None:
    model = write_model(to_fp16(bare) if precision == "fp16" else bare)
    engine = build_engine(model, tmp_path / "model.engine", BuildSettings("tensorrt", STATIC)).engine
    assert (engine["precision"], engine["precision_read_from"]) == (precision, "engine")


def with_quantised_inputs(bare: onnx.ModelProto, convolutions: list[str]) -> onnx.ModelProto:
    """Quantize and dequantize the inputs of the named convolutions, images and weights."""
    model = clone(bare)
    graph, nodes = model.graph, list(model.graph.node)
    for name, value in (("q.scale", np.float32(0.02)), ("q.zero", np.int8(0))):
        graph.initializer.append(numpy_helper.from_array(np.array(value), name))
    for node in [node for node in nodes if node.name in convolutions]:
        for index, tensor in enumerate(node.input[:2]):
            steps, source = [], tensor
            for operator in ("QuantizeLinear", "DequantizeLinear"):
                result = f"{node.name}.{index}.{operator}"
                inputs = [source, "q.scale", "q.zero"]
                steps.append(helper.make_node(operator, inputs, [result], name=result))
                source = result
            node.input[index] = source
            at = nodes.index(node)
            nodes[at:at] = steps
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)
    return model


@needs_rtx
def test_an_fp16_engine_may_keep_layers_in_fp32(
    bare: onnx.ModelProto, write_model: WriteModel, tmp_path: Path
) -> None:
    info = build_engine(write_model(to_fp16(bare, fp32=["top.0"])), tmp_path / "model.engine", RTX)
    assert info.engine["precision"] == "fp16"
    assert info.engine["convolutions"]["fp32"] == 1


@needs_rtx
@pytest.mark.parametrize("opset", [17, 20])
def test_other_opsets_build(
    bare: onnx.ModelProto, write_model: WriteModel, tmp_path: Path, opset: int
) -> None:
    from n2b.export.onnx.opset import set_opset

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
def test_what_the_parser_refuses_is_info_with_the_name_of_the_node(
    bare: onnx.ModelProto, write_model: WriteModel, tmp_path: Path
) -> None:
    path = write_model(bare)
    model, _ = read_onnx(path)
    to_nchw, to_float = model.graph.node[1], model.graph.node[0]
    to_nchw.input[0], to_nchw.output[0] = "image", "turned"  # a uint8 Transpose, which TensorRT has not
    to_float.input[0], to_float.output[0] = "turned", f"{PREFIX}input.to_nchw"
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
def test_every_parser_error_is_info(bare: onnx.ModelProto, write_model: WriteModel, tmp_path: Path) -> None:
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
