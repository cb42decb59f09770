"""Compare an engine with the machine that opens it, and make the command that rebuilds it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import short_repr
from ...model_info import ModelInfo
from ...system.gpu import Gpu

AMPERE = "8.0"  # oldest compute capability of an engine for several GPUs, by default


@dataclass(frozen=True)
class Host:
    """The machine and files that an engine is opened on."""

    version: str  # of the engine's flavour of TensorRT
    gpu: Gpu | None  # None: unknown
    onnx_sha256: str | None  # of the ONNX file next to the engine; None: there is none


def mismatch(engine: Mapping[str, Any], host: Host) -> str | None:
    """Return why an engine does not run here, in half a sentence; None: no known reason.

    An engine of TensorRT needs the version and the GPU that it was built with; a version-compatible one also
    runs with later versions, a hardware-compatible one on every GPU from Ampere on. One of TensorRT-RTX runs
    on every GPU from Ampere on, a portable one from the oldest GPU that it names on. Facts that the
    description lacks are not compared.
    """
    reasons = (compare(engine, host) for compare in (_version_mismatch, _gpu_mismatch, _onnx_mismatch))
    return next(filter(None, reasons), None)


def onnx_beside(model: Path, info: ModelInfo) -> Path | None:
    """Return the expected path of the ONNX file that an engine was built from; None if unknown."""
    built_from, sha256 = info.engine.get("onnx"), info.engine.get("onnx_sha256")
    if not isinstance(built_from, str):
        built_from = next((name for name, value in info.sources.items() if sha256 and value == sha256), None)
    name = Path(built_from or "").name
    return None if name in ("", "..") else model.with_name(name)


def rebuild_arguments(model: Path, onnx: Path, engine: Mapping[str, Any]) -> list[str]:
    """Return the arguments for n2b-export that rebuild an engine."""
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


def _version_mismatch(engine: Mapping[str, Any], host: Host) -> str | None:
    built = engine.get("version")
    if built is None or _numbers(built) == _numbers(host.version):
        return None
    if engine.get("version_compat"):
        if _numbers(host.version) >= _numbers(built):
            return None
        return f"it takes {engine['flavour']} {built} and later, and {host.version} is installed"
    return f"it was built by {engine['flavour']} {built}, and {host.version} is installed"


def _gpu_mismatch(engine: Mapping[str, Any], host: Host) -> str | None:
    if host.gpu is None:
        return None
    this = f"this is {host.gpu.name} ({host.gpu.compute_capability})"
    if engine["flavour"] == "tensorrt-rtx" or engine.get("hardware_compat"):
        named = engine.get("portable")
        oldest = min(named, key=_numbers) if isinstance(named, list) and named else AMPERE
        if _numbers(host.gpu.compute_capability) >= _numbers(oldest):
            return None
        return f"it needs a GPU of compute capability {oldest} or later, and {this}"
    name, capability = engine.get("gpu"), engine.get("compute_capability")
    if (name or host.gpu.name) == host.gpu.name and (
        capability is None or _numbers(capability) == _numbers(host.gpu.compute_capability)
    ):
        return None
    return f"it was built on {name} ({capability}), and {this}"


def _onnx_mismatch(engine: Mapping[str, Any], host: Host) -> str | None:
    built_from = engine.get("onnx_sha256")
    if not built_from or not host.onnx_sha256 or built_from == host.onnx_sha256:
        return None
    return f"it was built from another {engine.get('onnx') or 'ONNX file'} than the one next to it"


def _numbers(version: Any) -> tuple[int, ...]:
    """Return 10.3.0 as (10, 3, 0)."""
    return tuple(int(number[:9]) for number in re.findall(r"\d+", short_repr(version)))
