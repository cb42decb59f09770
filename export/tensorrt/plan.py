"""Build a plan from an ONNX graph with a TensorRT builder.

One path serves TensorRT 10.0 to 11.4 and TensorRT-RTX: a strongly typed network, whose precision is that of
the ONNX file, without precision flags, layer overrides or calibrators.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from ...runtime.backends.tensorrt.log import tensorrt_logger
from ...runtime.errors import DeviceError, EnvironmentFault
from ...runtime.system.gpu import find_gpu
from ...runtime.system.tensorrt import load
from ..onnx.file import is_dynamic
from .config import check_dla_support, save_timing_cache, set_options, set_profile, use_timing_cache
from .messages import BuildProgress, build_monitor, parser_errors
from .options import BuilderOptions
from .precision import BuiltPrecision, check_precision, precision_in_engine, precision_of_network
from .profile import Profile

if TYPE_CHECKING:  # the stubs of one flavour check the calls to both
    import tensorrt as trt


@dataclass(frozen=True)
class BuildSettings:
    """Settings of an engine build."""

    flavour: str  # one of FLAVOURS
    profile: Profile  # input shapes; must fit the model's input
    workspace_gib: float | None = None  # limit of a kernel's scratch memory; None: TensorRT's default
    # file with measured kernel times for the next build; None for TensorRT-RTX
    timing_cache: Path | None = None
    # further options of the builder; must pass `check_options`
    options: BuilderOptions = field(default_factory=BuilderOptions)
    verbose: bool = False  # show TensorRT's own messages


def build_plan(
    model: onnx.ModelProto, asked: str, settings: BuildSettings, progress: BuildProgress
) -> tuple[bytes, BuiltPrecision]:
    """Build a plan.

    Args:
        asked: expected precision: "fp32", "fp16", "int8".
        progress: receives the phases, and can cancel the build.

    Returns:
        The plan, and the precision that was read back: from the plan if there is a GPU to load it on, else
        from the parsed network.

    Raises:
        DeviceError: TensorRT finds no GPU.
        EnvironmentFault: TensorRT cannot read or build the model, or built another precision.
    """
    if not TYPE_CHECKING:
        trt = load(settings.flavour)
    name = f"{settings.flavour} {trt.__version__}"
    logger = tensorrt_logger(settings.flavour)
    logger.take_errors()  # of earlier builds
    logger.shown = int(trt.ILogger.INFO if settings.verbose else trt.ILogger.INTERNAL_ERROR)
    try:
        builder = trt.Builder(logger)
    except (TypeError, RuntimeError) as error:  # the binding's way to report that there is no builder
        raise DeviceError(
            f"{name} finds no GPU to build for ({logger.take_errors() or error}); build on the device that "
            "will run the engine, or leave the engine out with --target none"
        ) from error
    config = builder.create_builder_config()
    set_options(settings.flavour, builder, config, settings.options)  # first, since it fails quickly
    network = _parse(settings.flavour, builder, model)
    precision = precision_of_network(network)
    check_precision(asked, precision)

    config.clear_flag(trt.BuilderFlag.TF32)  # FP32 means FP32; FP16 is the option for speed
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # so that the precision can be read back
    config.progress_monitor = monitor = build_monitor(settings.flavour, progress)
    if settings.workspace_gib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, int(settings.workspace_gib * 2**30))
    if is_dynamic(model):
        set_profile(settings.flavour, builder, config, settings.profile)
    if settings.options.dla is not None:
        check_dla_support(network, config, settings.options.dla)
    if settings.timing_cache is not None:
        use_timing_cache(config, settings.timing_cache)

    plan = builder.build_serialized_network(network, config)
    del monitor  # it had to outlive the build
    if plan is None:
        raise EnvironmentFault(
            f"{name} cannot build the engine ({logger.take_errors() or 'no reason given'}); try a smaller "
            "--tile or --batch, or leave the engine out with --target none"
        )
    if settings.timing_cache is not None:
        save_timing_cache(config, settings.timing_cache)
    data = bytes(plan)
    if find_gpu() is not None and (read := _precision_of_plan(data, settings)) is not None:
        precision = read
        check_precision(asked, precision)
    return data, precision


def _parse(flavour: str, builder: trt.Builder, model: onnx.ModelProto) -> trt.INetworkDefinition:
    if not TYPE_CHECKING:
        trt = load(flavour)
    logger = tensorrt_logger(flavour)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model.SerializeToString()):
        reason = "; ".join(parser_errors(parser, model)) or logger.take_errors()
        raise EnvironmentFault(f"{flavour} {trt.__version__} cannot read the model: {reason}")
    return network


def _precision_of_plan(plan: bytes, settings: BuildSettings) -> BuiltPrecision | None:
    """Return the precision of a finished engine; None if it does not load here, as on another GPU."""
    if not TYPE_CHECKING:
        trt = load(settings.flavour)
    runtime = trt.Runtime(tensorrt_logger(settings.flavour))
    if settings.options.version_compat:
        runtime.engine_host_code_allowed = (
            True  # it contains its own runtime; trusted, since it was built just now
        )
    if settings.options.dla is not None:
        runtime.DLA_core = settings.options.dla
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        return None
    inspector = engine.create_engine_inspector()
    return precision_in_engine(inspector.get_engine_information(trt.LayerInformationFormat.JSON))
