"""The config is read with the server's own protobuf definition."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from n2b.export.settings import ExportSettings
from n2b.export.triton import config_text
from n2b.runtime.model_info import ModelInfo

CLIENT = importlib.util.find_spec("tritonclient")
pytestmark = pytest.mark.skipif(CLIENT is None, reason="needs the package tritonclient, for the definition")


def parse(text: str) -> Any:
    """Only the definition is loaded: the client round it wants an older protobuf."""
    assert CLIENT is not None and CLIENT.submodule_search_locations
    path = Path(CLIENT.submodule_search_locations[0]) / "grpc" / "model_config_pb2.py"
    spec = importlib.util.spec_from_file_location("model_config_pb2", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return text_format.Parse(text, module.ModelConfig())


def config(info: ModelInfo, *, is_engine: bool = False, **settings: Any) -> Any:
    text = config_text("denoiser", info, ExportSettings(**settings), is_engine=is_engine)
    assert text.isascii()
    return parse(text)


def kind_of(config: Any) -> str:
    (group,) = config.instance_group
    assert group.count == 1
    return group.DESCRIPTOR.fields_by_name["kind"].enum_type.values_by_number[group.kind].name


def data_type_of(tensor: Any) -> str:
    return tensor.DESCRIPTOR.fields_by_name["data_type"].enum_type.values_by_number[tensor.data_type].name


@pytest.mark.parametrize(("io", "data_type"), [("uint8", "TYPE_UINT8"), ("float32", "TYPE_FP32")])
@pytest.mark.parametrize("batch", [1, 4])
def test_a_fixed_shape_is_served_as_it_is(info: ModelInfo, io: str, data_type: str, batch: int) -> None:
    served = config(dataclasses.replace(info, io=io), tile_px=96, batch=batch)
    assert (served.name, served.platform) == ("denoiser", "onnxruntime_onnx")
    assert served.max_batch_size == 0
    assert not served.HasField("dynamic_batching")
    for tensors, name in ((served.input, "image"), (served.output, "denoised")):
        (tensor,) = tensors
        assert (tensor.name, data_type_of(tensor)) == (name, data_type)
        assert list(tensor.dims) == [batch, 96, 96, 3]
    assert kind_of(served) == "KIND_AUTO"


def test_an_open_batch_is_gathered_from_requests(info: ModelInfo) -> None:
    served = config(info, dynamic=True, batch=8)
    assert served.max_batch_size == 8
    assert list(served.input[0].dims) == list(served.output[0].dims) == [-1, -1, 3]
    assert served.dynamic_batching.max_queue_delay_microseconds == 1000
    assert list(served.dynamic_batching.preferred_batch_size) == []
    assert not served.optimization.execution_accelerators.gpu_execution_accelerator


def test_a_batch_of_one_is_not_waited_for(info: ModelInfo) -> None:
    served = config(info, dynamic=True)
    assert served.max_batch_size == 1
    assert not served.HasField("dynamic_batching")


def test_an_engine_is_served_on_a_gpu_in_the_batches_that_it_was_built_for(info: ModelInfo) -> None:
    served = config(info, dynamic=True, batch=4, is_engine=True)
    assert served.platform == "tensorrt_plan"
    assert kind_of(served) == "KIND_GPU"
    assert list(served.dynamic_batching.preferred_batch_size) == [4]
    assert config(info, is_engine=True, batch=4).max_batch_size == 0


@pytest.mark.parametrize(("precision", "mode"), [("fp32", "FP32"), ("fp16", "FP16")])
@pytest.mark.parametrize(("gib", "workspace"), [(None, "1073741824"), (0.5, "536870912")])
def test_onnx_of_fixed_shape_gets_tensorrt_in_its_own_precision(
    info: ModelInfo, precision: str, mode: str, gib: float | None, workspace: str
) -> None:
    served = config(dataclasses.replace(info, precision=precision), workspace_gib=gib)
    (accelerator,) = served.optimization.execution_accelerators.gpu_execution_accelerator
    assert accelerator.name == "tensorrt"
    assert dict(accelerator.parameters) == {"precision_mode": mode, "max_workspace_size_bytes": workspace}
    engine = config(info, is_engine=True)
    assert not engine.optimization.execution_accelerators.gpu_execution_accelerator


def test_clients_learn_what_the_model_is(info: ModelInfo) -> None:
    trained = {"noise": 'σ = "25"\n\\ and more'}
    served = config(dataclasses.replace(info, trained=trained))
    read = ModelInfo.from_json(served.parameters["n2b"].string_value, source="config")
    assert read.trained == trained
    assert (read.size_multiple_px, read.default_halo_px) == (32, 16)
