"""Build the engine of a finished ONNX file, by the settings of an export."""

from __future__ import annotations

from pathlib import Path

import onnx

from ..runtime.errors import UserError
from ..runtime.model_info import ModelInfo
from ..runtime.system.console import Log
from ..runtime.system.gpu import find_gpu
from ..runtime.system.memory import cache_folder
from ..runtime.system.options import changed_options
from ..runtime.system.tensorrt import FLAVOURS, is_installed, version_of
from .onnx.file import is_dynamic, read_onnx
from .onnx.io_contract import check_sizes
from .settings import DEFAULT_TILE_PX, ExportSettings
from .tensorrt.build import build_engine, built_precision
from .tensorrt.options import check_options
from .tensorrt.plan import BuildSettings
from .tensorrt.profile import Profile, dynamic_profile, static_profile


def choose_flavour(target: str | None) -> str | None:
    """Return the TensorRT to build for; None: no engine.

    Raises:
        MissingPackageError: the named one is not installed.
    """
    if target == "none":
        return None
    if target is None:
        return next((flavour for flavour in FLAVOURS if is_installed(flavour)), None)
    version_of(target)  # raises if it does not load
    return target


def check_engine(settings: ExportSettings, flavour: str | None, precision: str, *, dynamic: bool) -> None:
    """Raise UserError, before anything is built, if the settings of an engine conflict."""
    check_options(
        settings.builder,
        flavour=flavour,
        precision=precision,
        dynamic=dynamic,
        shapes=settings.shapes,
        timing_cache=settings.timing_cache,
        workspace_gib=settings.workspace_gib,
    )


def open_profile(settings: ExportSettings, info: ModelInfo, channels: int) -> Profile:
    """Return the shapes of an engine for a dynamic model and the GPU of this machine.

    Raises:
        UserError: a named shape does not fit the model.
    """
    return dynamic_profile(
        settings.shapes,
        tile_px=settings.tile_px,
        batch=settings.batch,
        multiple_px=info.size_multiple_px,
        channels=channels,
        gpu=find_gpu(),
    )


def make_engine(
    onnx_path: Path, engine_path: Path, flavour: str, profile: Profile, settings: ExportSettings, log: Log
) -> ModelInfo:
    """Build an engine of an ONNX file, with its description, and log the precision that was built.

    Raises:
        ModelError, EnvironmentFault, KeyboardInterrupt: see `build_engine`.
    """
    version = version_of(flavour)
    log(f"building {engine_path.name} with {flavour} {version}")
    build = BuildSettings(
        flavour=flavour,
        profile=profile,
        workspace_gib=settings.workspace_gib,
        timing_cache=_timing_cache(flavour, version, settings.timing_cache),
        options=settings.builder,
        verbose=settings.verbose,
    )
    info = build_engine(onnx_path, engine_path, build)
    log(f"{engine_path.name} was built in {built_precision(info)}")
    return info


def make_engine_only(
    onnx_path: Path, engine_path: Path, settings: ExportSettings, log: Log = lambda _: None
) -> ModelInfo:
    """Build an engine from a finished ONNX file of any precision, and export nothing else.

    Args:
        onnx_path: a model that n2b-export wrote.
        engine_path: gets the engine, and its description next to it; both replace existing files.
        settings: target, shapes of a dynamic model, and options of the builder; the others are ignored.

    Raises:
        ModelError: the file is not a model of n2b.
        UserError: the settings do not fit the model or the TensorRT, or no TensorRT is installed.
        EnvironmentFault: the engine could not be built.
    """
    if onnx_path.suffix != ".onnx":
        raise UserError(f"--engine builds from a finished .onnx file, not from {onnx_path}; leave it out")
    if engine_path.suffix != ".engine":
        raise UserError(f"an engine's name ends in .engine, and '{engine_path}' does not")
    flavour = choose_flavour(settings.target)
    if flavour is None:
        raise UserError("--engine needs TensorRT: pip install 'noise2blur[tensorrt]', or 'noise2blur[rtx]'")
    model, info = read_onnx(onnx_path)
    profile = _own_profile(model, info, onnx_path, settings)
    check_engine(settings, flavour, info.precision, dynamic=is_dynamic(model))
    return make_engine(onnx_path, engine_path, flavour, profile, settings, log)


def _own_profile(model: onnx.ModelProto, info: ModelInfo, path: Path, settings: ExportSettings) -> Profile:
    """Return the shapes of a static model, or for a dynamic one those of the settings."""
    batch, height, width, channels = (
        dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim
    )
    if not is_dynamic(model):
        for option in changed_options(settings.shapes):
            raise UserError(f"{path} takes {batch}x{height}x{width} only; leave {option} out")
        if (settings.batch, settings.tile_px) != (1, DEFAULT_TILE_PX):
            raise UserError(f"{path} takes {batch}x{height}x{width} only; leave --tile and --batch out")
        return static_profile(batch, height, width, channels)
    check_sizes(info, tile_px=settings.tile_px, batch=settings.batch)
    return open_profile(settings, info, channels)


def _timing_cache(flavour: str, version: str, named: Path | None) -> Path | None:
    """Return the file of kernel times; None for TensorRT-RTX, which measures none."""
    if flavour != "tensorrt":
        return None
    if named is not None:
        return named
    gpu = find_gpu()
    capability = gpu.compute_capability if gpu else "unknown"
    return cache_folder() / f"tensorrt-{version}-sm{capability.replace('.', '')}.timing"
