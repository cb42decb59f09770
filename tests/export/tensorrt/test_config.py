"""Apply options to the builder of TensorRT-RTX, and to stand-ins for one on a Jetson."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from n2b.export.tensorrt.config import check_dla_support, portable_capabilities, set_options
from n2b.export.tensorrt.options import BuilderOptions
from n2b.runtime.errors import EnvironmentFault
from n2b.runtime.system.tensorrt import is_installed, load


class Config(SimpleNamespace):
    """A builder's configuration that records its settings; a DLA runs the layers below `dla_layers`."""

    dla_layers = 0

    def set_flag(self, flag: str) -> None:
        self.__dict__.setdefault("flags", []).append(flag)

    def can_run_on_DLA(self, layer: int) -> bool:  # noqa: N802
        return layer < self.dla_layers


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Any:
    """configure(options, cores) → the configuration that a TensorRT with so many DLA cores gets."""
    trt = ModuleType("tensorrt")
    trt.__dict__.update(
        __version__="10.3.0",
        Runtime=object,
        HardwareCompatibilityLevel=SimpleNamespace(AMPERE_PLUS="ampere+"),
        BuilderFlag=SimpleNamespace(VERSION_COMPATIBLE="version", GPU_FALLBACK="fallback"),
        DeviceType=SimpleNamespace(DLA="dla"),
    )
    monkeypatch.setitem(sys.modules, "tensorrt", trt)

    def call(options: BuilderOptions, cores: int = 0) -> dict[str, Any]:
        builder: Any = SimpleNamespace(num_DLA_cores=cores)
        config: Any = Config()
        set_options("tensorrt", builder, config, options)
        return vars(config)

    return call


def test_nothing_asked_changes_nothing(configure: Any) -> None:
    assert configure(BuilderOptions()) == {}


def test_options_reach_the_builder(configure: Any) -> None:
    assert configure(BuilderOptions(level=0)) == {"builder_optimization_level": 0}
    assert configure(BuilderOptions(hardware_compat=True)) == {"hardware_compatibility_level": "ampere+"}
    assert configure(BuilderOptions(version_compat=True)) == {"flags": ["version"]}


def test_a_dla_takes_what_it_can_and_the_gpu_the_rest(configure: Any) -> None:
    config = configure(BuilderOptions(dla=1), cores=2)
    assert config == {"default_device_type": "dla", "DLA_core": 1, "flags": ["fallback"]}


@pytest.mark.parametrize(
    ("core", "cores", "found"), [(0, 0, "no DLA"), (2, 2, "2 DLA cores"), (1, 1, "1 DLA core ")]
)
def test_a_dla_that_is_not_there_is_an_error(configure: Any, core: int, cores: int, found: str) -> None:
    words = rf"tensorrt 10\.3\.0 finds {found}.*no --dla {core}; TensorRT 10\.0 to 10\.7.*11\.4"
    with pytest.raises(EnvironmentFault, match=words):
        configure(BuilderOptions(dla=core), cores=cores)


def test_layers_that_a_dla_leaves_to_the_gpu_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    network: Any = SimpleNamespace(num_layers=10, get_layer=lambda i: i)
    config: Any = Config()
    with pytest.raises(
        EnvironmentFault, match="DLA core 0 supports no layer of this network; leave --dla out"
    ):
        check_dla_support(network, config, 0)
    config.dla_layers = 7
    check_dla_support(network, config, 0)
    assert "DLA core 0 runs 7 of 10 layers; the GPU runs the others" in caplog.text
    caplog.clear()
    config.dla_layers = 10
    check_dla_support(network, config, 0)
    assert caplog.text == ""


@pytest.mark.skipif(not is_installed("tensorrt-rtx"), reason="needs the package tensorrt-rtx")
def test_a_portable_engine_is_for_every_capability_that_tensorrt_rtx_names() -> None:
    trt = load("tensorrt-rtx")
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    config = builder.create_builder_config()
    set_options("tensorrt-rtx", builder, config, BuilderOptions(portable=True))
    targets = [config.get_compute_capability(i).name for i in range(config.num_compute_capabilities)]
    assert {"SM75", "SM89", "SM120"} <= set(targets)
    assert {"7.5", "8.9", "12.0"} <= set(portable_capabilities())
    assert len(targets) == len(set(targets)) == len(portable_capabilities())
