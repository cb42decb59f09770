"""Whether an engine fits the machine that opens it, and the command that builds it anew. Plain data only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...model_info import ModelInfo
from ...system.gpu import Gpu

AMPERE = "8.0"  # the oldest compute capability that an engine for several GPUs takes unless it says otherwise


@dataclass(frozen=True)
class Here:
    """What an engine is opened on."""

    version: str  # of the engine's flavour of TensorRT
    gpu: Gpu | None  # None: not known
    onnx_sha256: str | None  # of the ONNX file beside the engine; None: there is none


def difference(engine: Mapping[str, Any], here: Here) -> str | None:
    """What keeps an engine from running here, in half a sentence; None: nothing that is known.

    An engine of TensorRT runs with the version and on the GPU that it was built with; a version-compatible
    one also with later versions, a hardware-compatible one on every GPU from Ampere on. One of TensorRT-RTX
    runs on every GPU from Ampere on, and a portable one on all from the oldest that it names. What a
    description does not say is not compared.

    Args:
        engine: what the engine's description, `ModelInfo.engine`, says of it.
        here: what it is opened on.
    """
    found = (compare(engine, here) for compare in (_version_difference, _gpu_difference, _onnx_difference))
    return next(filter(None, found), None)


def onnx_beside(model: Path, info: ModelInfo) -> Path | None:
    """Where the ONNX file that an engine was built from should lie; None: its description does not say."""
    built_from, sha256 = info.engine.get("onnx"), info.engine.get("onnx_sha256")
    if not isinstance(built_from, str):
        built_from = next((name for name, value in info.sources.items() if sha256 and value == sha256), None)
    name = Path(built_from or "").name
    return None if name in ("", "..") else model.with_name(name)


def rebuild_arguments(model: Path, onnx: Path, engine: Mapping[str, Any]) -> list[str]:
    """What n2b-export has to be given to build an engine again as it was.

    Args:
        model: the engine.
        onnx: the file that it was built from.
        engine: what its description says of it.
    """
    arguments = [str(onnx), "--engine", str(model), "--target", str(engine["flavour"])]
    profile = engine.get("profile")
    shapes = profile if isinstance(profile, dict) else {}
    if engine.get("dynamic", shapes.get("min") != shapes.get("max")):
        for name in ("min", "opt", "max"):
            if isinstance(shape := shapes.get(name), (list, tuple)):
                arguments += [f"--{name}-shape", "x".join(map(str, shape[:3]))]
    for key in ("workspace_gib", "builder_level", "dla"):
        if (value := engine.get(key)) is not None:
            arguments += [f"--{_OPTIONS.get(key, key.replace('_', '-'))}", str(value)]
    for key in ("hardware_compat", "version_compat", "portable"):
        if engine.get(key):
            arguments.append(f"--{key.replace('_', '-')}")
    return arguments


_OPTIONS = {"workspace_gib": "workspace"}


def _version_difference(engine: Mapping[str, Any], here: Here) -> str | None:
    built = engine.get("version")
    if built is None or _numbers(built) == _numbers(here.version):
        return None
    if engine.get("version_compat"):
        if _numbers(here.version) >= _numbers(built):
            return None
        return f"it takes {engine['flavour']} {built} and later, and {here.version} is installed"
    return f"it was built by {engine['flavour']} {built}, and {here.version} is installed"


def _gpu_difference(engine: Mapping[str, Any], here: Here) -> str | None:
    if here.gpu is None:
        return None
    this = f"this is {here.gpu.name} ({here.gpu.compute_capability})"
    if engine["flavour"] == "tensorrt-rtx" or engine.get("hardware_compat"):
        named = engine.get("portable")
        oldest = min(named, key=_numbers) if isinstance(named, list) and named else AMPERE
        if _numbers(here.gpu.compute_capability) >= _numbers(oldest):
            return None
        return f"it needs a GPU of compute capability {oldest} or later, and {this}"
    name, capability = engine.get("gpu"), engine.get("compute_capability")
    if (name or here.gpu.name) == here.gpu.name and (
        capability is None or _numbers(capability) == _numbers(here.gpu.compute_capability)
    ):
        return None
    return f"it was built on {name} ({capability}), and {this}"


def _onnx_difference(engine: Mapping[str, Any], here: Here) -> str | None:
    built_from = engine.get("onnx_sha256")
    if not built_from or not here.onnx_sha256 or built_from == here.onnx_sha256:
        return None
    return f"it was built from another {engine.get('onnx') or 'ONNX file'} than the one beside it"


def _numbers(version: Any) -> tuple[int, ...]:
    """10.3.0 → (10, 3, 0)"""
    return tuple(map(int, re.findall(r"\d+", str(version))))
