"""Build an engine from an ONNX file, and write its description next to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from ...calibration.ranges import RANGES_NAME
from ...runtime.model_info import ModelInfo
from ...runtime.system.files import atomic_path, sha256_of_file
from ...runtime.system.gpu import find_gpu
from ...runtime.system.tensorrt import version_of
from ..onnx.file import is_dynamic, read_onnx
from .config import portable_capabilities
from .messages import BuildProgress
from .plan import BuildSettings, build_plan
from .precision import BuiltPrecision

Result = TypeVar("Result")


def build_engine(onnx_path: Path, engine_path: Path, settings: BuildSettings) -> ModelInfo:
    """Build an engine and write it, with its description as `<engine>.json`; return the description.

    The engine is a plain plan, which every tool for this TensorRT can load.

    Raises:
        ModelError: `onnx_path` is not a model of n2b.
        MissingPackageError: this flavour is not installed, or cannot load.
        DeviceError: TensorRT finds no GPU.
        EnvironmentFault: TensorRT cannot read or build the model, or built it in another precision; the
            message holds all its errors.
        KeyboardInterrupt: Ctrl-C was pressed; the build has ended.
    """
    model, info = read_onnx(onnx_path)
    version = version_of(settings.flavour)
    with BuildProgress() as progress:
        plan, built = _run_interruptibly(
            lambda: build_plan(model, info.precision, settings, progress), progress
        )
    onnx_hash = sha256_of_file(onnx_path)
    info = dataclasses.replace(
        info,
        sources={**info.sources, onnx_path.name: onnx_hash},
        engine={
            **_describe(settings, version),
            "dynamic": is_dynamic(model),
            "precision_asked": info.precision,
            **_describe_precision(built),
            "onnx": onnx_path.name,
            "onnx_sha256": onnx_hash,
            **({"ranges_sha256": info.sources[RANGES_NAME]} if RANGES_NAME in info.sources else {}),
        },
    )
    with atomic_path(engine_path) as plan_file, atomic_path(description_path(engine_path)) as description:
        plan_file.write_bytes(plan)
        description.write_text(info.to_json(indent=2), encoding="utf-8")
    return info


def description_path(engine_path: Path) -> Path:
    """Return the path of an engine's ModelInfo: model.fp16.engine → model.fp16.engine.json."""
    return engine_path.with_name(engine_path.name + ".json")


def built_precision(info: ModelInfo) -> BuiltPrecision:
    """Return the precision that was read back from an engine, from its description."""
    return BuiltPrecision(info.engine["convolutions"], info.engine["precision_read_from"])


def _describe(settings: BuildSettings, version: str) -> dict[str, Any]:
    """Return what the runtime needs to check an engine, and to build it again."""
    gpu, profile, options = find_gpu(), settings.profile, settings.options
    return {
        "flavour": settings.flavour,
        "version": version,
        "gpu": gpu.name if gpu else None,
        "compute_capability": gpu.compute_capability if gpu else None,
        "profile": {"min": profile.smallest, "opt": profile.best, "max": profile.largest},
        "workspace_gib": settings.workspace_gib,
        "builder_level": options.level,
        "hardware_compat": options.hardware_compat,
        "version_compat": options.version_compat,
        "dla": options.dla,
        "portable": portable_capabilities() if options.portable else None,
    }


def _describe_precision(built: BuiltPrecision) -> dict[str, Any]:
    return {
        "precision": built.name,
        "precision_read_from": built.read_from,
        "convolutions": dict(built.convolutions),
    }


def _run_interruptibly(build: Callable[[], Result], progress: BuildProgress) -> Result:
    """Build in a second thread, so that this one receives Ctrl-C during the build."""
    with ThreadPoolExecutor(1) as pool:
        try:  # entered before the thread starts, since Ctrl-C may come at once
            return pool.submit(build).result()
        except KeyboardInterrupt:
            progress.cancel()
            raise
