"""ONNX → engine: the only file that touches a TensorRT builder.

One path serves TensorRT 10.0 to 11.4 and TensorRT-RTX: a strongly typed network, whose precision is the one
written in the ONNX file, so that no precision flag, layer override or calibrator is needed.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from ..runtime.artifact import ModelInfo, atomic_path, sha256_of_file, write_atomically
from ..runtime.console import warn
from ..runtime.errors import DeviceError, EnvironmentFault, MissingPackageError, UserError
from .build_progress import BuildProgress
from .contract import IMAGE
from .gpu import find_gpu
from .onnx_file import read_onnx

if TYPE_CHECKING:  # the stubs of one flavour check the calls to both
    import tensorrt as trt

FLAVOURS = ("tensorrt", "tensorrt-rtx")
_MODULES = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
_EXTRAS = {"tensorrt": "tensorrt", "tensorrt-rtx": "rtx"}


@dataclass(frozen=True)
class Profile:
    """Input shapes (N, H, W, C) that an engine takes; all three are the same when it is static."""

    smallest: tuple[int, ...]
    best: tuple[int, ...]  # what its kernels are chosen for
    largest: tuple[int, ...]


@dataclass(frozen=True)
class BuildSettings:
    """How to build an engine.

    Attributes:
        flavour: one of FLAVOURS.
        profile: the input shapes; must fit the model's input.
        workspace_gib: the most scratch memory that a kernel may use; None: TensorRT's own limit.
        timing_cache: a file that keeps measured kernel times for the next build; TensorRT-RTX has none.
        verbose: show TensorRT's own messages.
    """

    flavour: str
    profile: Profile
    workspace_gib: float | None = None
    timing_cache: Path | None = None
    verbose: bool = False


def is_installed(flavour: str) -> bool:
    """Whether a TensorRT of this flavour is there (and not only the type stubs, which share its name)."""
    spec = importlib.util.find_spec(_MODULES[flavour])
    return spec is not None and spec.origin is not None


def version_of(flavour: str) -> str:
    """The version of an installed flavour, such as "10.3.0".

    Raises:
        MissingPackageError: it is not installed, or cannot load.
    """
    return _load(flavour).__version__


def build_engine(onnx_path: Path, engine_path: Path, settings: BuildSettings) -> ModelInfo:
    """Build an engine and write it, with its description beside it as `<engine>.json`.

    The engine is a plain plan, which every tool made for this TensorRT can load.

    Args:
        onnx_path: a model that n2b-export wrote.
        engine_path: where the plan goes.
        settings: how to build it.

    Returns:
        The engine's description.

    Raises:
        ModelError: `onnx_path` is not a model of n2b.
        MissingPackageError: this flavour is not installed, or cannot load.
        DeviceError: TensorRT finds no GPU.
        EnvironmentFault: TensorRT cannot read or build the model; the message holds all its errors.
        KeyboardInterrupt: Ctrl-C was pressed during the build, which has been ended in order.
    """
    model, info = read_onnx(onnx_path)
    version = version_of(settings.flavour)
    with BuildProgress() as progress:
        plan = _run_interruptibly(lambda: _build_plan(model, settings, progress), progress)
    gpu, onnx_hash, profile = find_gpu(), sha256_of_file(onnx_path), settings.profile
    info = dataclasses.replace(
        info,
        sources={**info.sources, onnx_path.name: onnx_hash},
        engine={
            "flavour": settings.flavour,
            "version": version,
            "gpu": gpu.name if gpu else None,
            "compute_capability": gpu.compute_capability if gpu else None,
            "precision": info.precision,
            "profile": {"min": profile.smallest, "opt": profile.best, "max": profile.largest},
            "onnx_sha256": onnx_hash,
        },
    )
    with atomic_path(engine_path) as plan_file, atomic_path(description_path(engine_path)) as description:
        plan_file.write_bytes(plan)
        description.write_text(info.to_json(indent=2), encoding="utf-8")
    return info


def description_path(engine_path: Path) -> Path:
    """Where an engine's ModelInfo lies: model.fp16.engine → model.fp16.engine.json."""
    return engine_path.with_name(engine_path.name + ".json")


def _load(flavour: str) -> Any:
    """The module of a flavour."""
    if not is_installed(flavour):
        raise MissingPackageError(flavour, extra=_EXTRAS[flavour])
    try:
        return importlib.import_module(_MODULES[flavour])
    except (ImportError, OSError, RuntimeError) as error:
        raise MissingPackageError(flavour, extra=_EXTRAS[flavour], reason=str(error)) from error


def _run_interruptibly(build: Callable[[], bytes], progress: BuildProgress) -> bytes:
    """Build in a second thread, so that this one hears Ctrl-C while the builder is at work."""
    with ThreadPoolExecutor(1) as pool:
        try:  # before the thread is there: Ctrl-C may come as soon as it is
            return pool.submit(build).result()
        except KeyboardInterrupt:
            progress.cancel()
            raise


def _build_plan(model: onnx.ModelProto, settings: BuildSettings, progress: BuildProgress) -> bytes:
    if not TYPE_CHECKING:
        trt = _load(settings.flavour)
    name = f"{settings.flavour} {trt.__version__}"
    logger = _logger(settings.flavour)
    logger.start(settings.verbose)
    try:
        builder = trt.Builder(logger)
    except (TypeError, RuntimeError) as error:  # the binding's word for "it gave no builder"
        raise DeviceError(
            f"{name} finds no GPU to build for ({logger.summary() or error}); build on the device that will "
            "run the engine, or leave the engine out with --target none"
        ) from error
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model.SerializeToString()):
        errors = [_parser_error(parser.get_error(i), model) for i in range(parser.num_errors)]
        raise EnvironmentFault(f"{name} cannot read the model: {'; '.join(errors) or logger.summary()}")

    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)  # FP32 means FP32; who wants speed asks for FP16
    config.progress_monitor = monitor = _monitor(settings.flavour, progress)
    if settings.workspace_gib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, int(settings.workspace_gib * 2**30))
    if settings.profile.smallest != settings.profile.largest:
        profile = settings.profile
        smallest, best, largest = (
            trt.Dims(list(s)) for s in (profile.smallest, profile.best, profile.largest)
        )
        shapes = builder.create_optimization_profile()
        shapes.set_shape(IMAGE, smallest, best, largest)
        config.add_optimization_profile(shapes)
    if settings.timing_cache is not None:
        use_timing_cache(config, settings.timing_cache)

    plan = builder.build_serialized_network(network, config)
    del monitor  # it had to outlive the build
    if plan is None:
        raise EnvironmentFault(
            f"{name} cannot build the engine ({logger.summary() or 'it gave no reason'}); try a smaller "
            "--tile or --batch, or leave the engine out with --target none"
        )
    if settings.timing_cache is not None:
        save_timing_cache(config, settings.timing_cache)
    return bytes(plan)


def _parser_error(error: Any, model: onnx.ModelProto) -> str:
    index = error.node()  # -1 where it is about no node
    node = model.graph.node[index] if 0 <= index < len(model.graph.node) else None
    where = f"node '{node.name}' ({node.op_type}): " if node else ""
    return f"{where}{error.desc()} ({error.code()}, {error.func()})"


@cache  # TensorRT keeps the first logger that it is given for the life of the process
def _logger(flavour: str) -> Any:
    if not TYPE_CHECKING:
        trt = _load(flavour)

    class Logger(trt.ILogger):
        """Keeps the errors of a build for its error message."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.start(verbose=False)

        def start(self, verbose: bool) -> None:
            self._errors: list[str] = []
            self._shown = int(trt.ILogger.INFO if verbose else trt.ILogger.INTERNAL_ERROR)

        def log(self, severity: trt.ILogger.Severity, msg: str) -> None:
            if int(severity) <= int(trt.ILogger.ERROR):
                self._errors.append(msg)
            if int(severity) <= self._shown:
                print(f"{flavour}: {msg}", file=sys.stderr)

        def summary(self) -> str:
            return "; ".join(dict.fromkeys(self._errors))  # in order, without repetitions

    return Logger()


def _monitor(flavour: str, progress: BuildProgress) -> trt.IProgressMonitor:
    if not TYPE_CHECKING:
        trt = _load(flavour)

    class Monitor(trt.IProgressMonitor):
        """Hands the builder's reports on to the progress bar."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str, num_steps: int) -> None:
            progress.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return progress.step(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            progress.finish(phase_name)

    return Monitor()


def use_timing_cache(config: trt.IBuilderConfig, path: Path) -> None:
    """Let a build use the kernel times in `path`, or gather new ones where they do not fit."""
    data = path.read_bytes() if path.is_file() else b""
    cache = config.create_timing_cache(data)
    if cache is None or not config.set_timing_cache(cache, ignore_mismatch=False):
        warn(f"{path} is damaged, or of another TensorRT or GPU; kernels are measured anew")
        config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)


def save_timing_cache(config: trt.IBuilderConfig, path: Path) -> None:
    """Keep the kernel times of a build that has ended; the engine counts even where this fails."""
    try:
        write_atomically(path, bytes(config.get_timing_cache().serialize()))
    except UserError as error:
        warn(f"the timing cache was not kept: {error}")
