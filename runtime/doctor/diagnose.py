"""Collect all facts and derive the problems."""

from __future__ import annotations

import dataclasses

from n2b import __version__

from ..model_files import find_model
from .advice import problems_of
from .facts import Diagnosis, GpuFacts, OpenCv
from .installed import OPENCV, installed_packages
from .machine import find_cameras, find_jetson, find_machine
from .probe import probe
from .trials import try_backends


def diagnose(model: str | None = None) -> Diagnosis:
    """Return the diagnosis of this machine; what may crash or hang runs in processes of its own.

    Args:
        model: as of `Denoiser`, to be opened with every backend.

    Raises:
        ModelError: the model does not exist.
    """
    files = find_model(model)
    packages = installed_packages()
    gpu, gpu_reason = _find_gpu()
    opencv, opencv_reason = _find_opencv(packages)
    facts = Diagnosis(
        n2b=__version__,
        machine=find_machine(),
        gpu=gpu,
        gpu_reason=gpu_reason,
        jetson=find_jetson(),
        cameras=find_cameras(),
        opencv=opencv,
        opencv_reason=opencv_reason,
        packages=packages,
        trials=tuple(try_backends(model, files, has_gpu=gpu is not None)),
    )
    return dataclasses.replace(facts, problems=problems_of(facts))


def _find_gpu() -> tuple[GpuFacts | None, str]:
    found = probe("gpu")
    if "reason" in found:
        return None, found["reason"]
    return GpuFacts(**found), ""


def _find_opencv(packages: dict[str, str]) -> tuple[OpenCv | None, str]:
    found = probe("opencv")
    if "reason" in found:
        return None, found["reason"]
    return OpenCv(packages=tuple(name for name in OPENCV if name in packages), **found), ""
