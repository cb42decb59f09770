"""Configure a builder: shapes, kernel times, and the options of BuilderOptions."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...runtime.backends.graph_contract import IMAGE
from ...runtime.errors import EnvironmentFault, UserError
from ...runtime.system.files import write_atomically
from ...runtime.system.tensorrt import load
from .options import DLA_VERSIONS, BuilderOptions
from .profile import Profile

if TYPE_CHECKING:  # the stubs of one flavour check the calls to both
    import tensorrt as trt

_logger = logging.getLogger(__name__)


def set_options(
    flavour: str, builder: trt.Builder, config: trt.IBuilderConfig, options: BuilderOptions
) -> None:
    """Apply the options to a builder.

    Raises:
        EnvironmentFault: this TensorRT or this machine lacks what an option needs.
    """
    if not TYPE_CHECKING:
        trt = load(flavour)
    if options.level is not None:
        config.builder_optimization_level = options.level
    if options.hardware_compat:
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
    if options.version_compat:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if options.portable:
        target_all_gpus(config)
    if options.dla is not None:
        cores = builder.num_DLA_cores
        if options.dla >= cores:
            found = f"{cores} DLA core{'s' if cores > 1 else ''}" if cores else "no DLA"
            raise EnvironmentFault(
                f"{flavour} {trt.__version__} finds {found} here, so there is no --dla {options.dla}; "
                f"{DLA_VERSIONS}"
            )
        config.default_device_type = trt.DeviceType.DLA
        config.DLA_core = options.dla
        config.set_flag(trt.BuilderFlag.GPU_FALLBACK)


def check_dla_support(network: trt.INetworkDefinition, config: trt.IBuilderConfig, core: int) -> None:
    """Warn of the layers that a DLA does not run, before the network is built.

    Raises:
        EnvironmentFault: it runs none.
    """
    supported = sum(config.can_run_on_DLA(network.get_layer(i)) for i in range(network.num_layers))
    if supported == 0:
        raise EnvironmentFault(f"DLA core {core} supports no layer of this network; leave --dla out")
    if supported < network.num_layers:
        _logger.warning(
            f"DLA core {core} runs {supported} of {network.num_layers} layers; the GPU runs the others"
        )


def target_all_gpus(config: Any) -> None:
    """Make a TensorRT-RTX engine run on every compute capability that this version names.

    Raises:
        EnvironmentFault: TensorRT-RTX refuses one.
    """
    capabilities = _named_capabilities()
    config.num_compute_capabilities = len(capabilities)
    for index, (name, capability) in enumerate(capabilities.items()):
        if not config.set_compute_capability(capability, index):
            raise EnvironmentFault(f"this TensorRT-RTX does not build for {name}; leave --portable out")


def portable_capabilities() -> list[str]:
    """Return the compute capabilities of a portable engine of this TensorRT-RTX: "7.5", "8.0", …"""
    return list(_named_capabilities())


def _named_capabilities() -> dict[str, Any]:
    rtx: Any = load("tensorrt-rtx")
    members = rtx.ComputeCapability.__members__.items()  # SM75, SM120, but also NONE and CURRENT
    return {f"{name[2:-1]}.{name[-1]}": value for name, value in members if name.startswith("SM")}


def set_profile(flavour: str, builder: trt.Builder, config: trt.IBuilderConfig, profile: Profile) -> None:
    """Set the shapes of an engine whose network leaves them open."""
    if not TYPE_CHECKING:
        trt = load(flavour)
    shapes = builder.create_optimization_profile()
    smallest, best, largest = (trt.Dims(list(s)) for s in (profile.smallest, profile.best, profile.largest))
    shapes.set_shape(IMAGE, smallest, best, largest)
    config.add_optimization_profile(shapes)


def use_timing_cache(config: trt.IBuilderConfig, path: Path) -> None:
    """Use the kernel times in `path`, or measure new ones if they do not fit."""
    data = path.read_bytes() if path.is_file() else b""
    cache = config.create_timing_cache(data)
    if cache is None or not config.set_timing_cache(cache, ignore_mismatch=False):
        _logger.warning(f"{path} is damaged, or of another TensorRT or GPU; measuring kernels again")
        config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)


def save_timing_cache(config: trt.IBuilderConfig, path: Path) -> None:
    """Save the kernel times of a finished build; a failure is only logged."""
    try:
        write_atomically(path, bytes(config.get_timing_cache().serialize()))
    except UserError as error:
        _logger.warning(f"the timing cache was not saved: {error}")
