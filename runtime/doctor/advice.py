"""Derive from the facts what is wrong or slow, and what to do: one line each."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from ..system.packages import is_hidden
from .facts import Diagnosis
from .installed import ONNXRUNTIME, OPENCV

_LITTLE_MEMORY_MB = 1000
_GPU_DEVICES = ("cuda", "dml", "coreml")


def problems_of(facts: Diagnosis) -> tuple[str, ...]:
    """Return one line for each problem, the worst first."""
    parts = (_no_backend, _gpu_idle, _versions, _jetson, _conflicts, _opencv, _cpu, _load, _memory, _cameras)
    return tuple(dict.fromkeys(line for part in parts for line in part(facts)))


def _no_backend(facts: Diagnosis) -> Iterator[str]:
    if not facts.opens:
        hint = "pip install 'noise2blur[cpu]'"
        reason = next((trial.reason for trial in facts.trials if trial.reason), "")
        yield f"no backend runs a model: {reason or hint}"


def _gpu_idle(facts: Diagnosis) -> Iterator[str]:
    """Say why a GPU is not used, or why an NVIDIA GPU is not found where there is one."""
    taken = facts.trials[0]
    if facts.gpu is not None and taken.opens and not taken.device.startswith(_GPU_DEVICES):
        ready = [trial for trial in facts.trials if trial.outcome == "ready"]
        works = [trial for trial in facts.trials if trial.opens and trial.device.startswith("cuda")]
        if ready:
            command = ready[0].reason.rpartition(": ")[2]
            yield f"the GPU is not used by auto, since there is no engine; build one: {command}"
        elif works:
            yield f"the GPU is not used by auto, but works: --backend {works[0].backend} --device cuda"
        else:
            yield f"the GPU is not used, since no library runs on it: {_gpu_library(facts)}"
    if facts.jetson is not None and facts.gpu is None:
        yield (
            f"this is a Jetson, and its GPU is not found ({facts.gpu_reason}): add your user to the groups "
            "video and render (sudo usermod -aG video,render $USER), or start the container with "
            "--runtime nvidia"
        )


def _gpu_library(facts: Diagnosis) -> str:
    if facts.jetson is not None:
        if is_hidden("tensorrt"):
            return (
                "the system has TensorRT, for environments made with python3 -m venv --system-site-packages"
            )
        return "sudo apt install nvidia-jetpack"
    reasons = [
        trial.reason for trial in facts.trials if trial.asked_device == "cuda" and trial.outcome == "fails"
    ]
    return reasons[0] if reasons else "pip install 'noise2blur[gpu]' or 'noise2blur[tensorrt]'"


def _versions(facts: Diagnosis) -> Iterator[str]:
    """Compare the CUDA of each package with that of the driver."""
    if facts.gpu is None:
        return
    driver = _numbers(facts.gpu.cuda)
    bindings = facts.packages.get("cuda-bindings")
    install = f"pip install 'cuda-bindings~={driver[0]}.{_OLDEST_BINDINGS.get(driver[0], 0)}'"
    if bindings is not None and _numbers(bindings)[:1] > driver[:1]:
        yield f"cuda-bindings {bindings} is for a newer CUDA than the driver's {facts.gpu.cuda}: {install}"
    uses_engines = any(name in facts.packages for name in ("tensorrt", "tensorrt-rtx")) or facts.jetson
    if uses_engines and bindings is None and "pycuda" not in facts.packages:
        yield f"engines need cuda-bindings: {install}"


_OLDEST_BINDINGS = {12: 6}  # the first release of cuda-bindings for a CUDA


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _jetson(facts: Diagnosis) -> Iterator[str]:
    jetson = facts.jetson
    if jetson is None:
        return
    if jetson.power_mode is not None and not jetson.power_mode.upper().startswith("MAXN"):
        modes = ", ".join(jetson.power_modes) or "sudo nvpmodel -p --verbose lists them"
        yield (
            f"the power mode is {jetson.power_mode}, which limits the clocks: sudo nvpmodel -m N, "
            f"then sudo jetson_clocks (modes: {modes})"
        )
    if (
        any(name in facts.packages for name in OPENCV)
        and facts.opencv is not None
        and not facts.opencv.gstreamer
    ):
        yield (
            "pip's OpenCV hides JetPack's, which has GStreamer for csi:// cameras: pip uninstall "
            + " ".join(name for name in OPENCV if name in facts.packages)
        )


def _conflicts(facts: Diagnosis) -> Iterator[str]:
    for family in (ONNXRUNTIME, OPENCV):
        installed = [name for name in family if name in facts.packages]
        if len(installed) > 1:
            keep = next((name for name in installed if name.endswith("-gpu")), installed[-1])
            yield (
                f"{' and '.join(installed)} overwrite each other's files: pip uninstall -y "
                f"{' '.join(installed)} && pip install {keep}"
            )


def _opencv(facts: Diagnosis) -> Iterator[str]:
    if facts.opencv is None:
        reason = facts.opencv_reason
        if "multiarray" in reason or "_ARRAY_API" in reason:
            numpy = facts.packages.get("numpy", "")
            reason = f"OpenCV was built for an older numpy than {numpy}: pip install 'numpy<2'"
        yield f"images cannot be read: {reason}"
    elif not facts.opencv.packages and is_hidden("cv2"):
        yield "the system's OpenCV is hidden: python3 -m venv --system-site-packages"


def _cpu(facts: Diagnosis) -> Iterator[str]:
    machine = facts.machine
    is_x86 = machine.system.endswith(("x86_64", "AMD64"))
    taken = facts.trials[0]
    if not (taken.opens and taken.device == "cpu"):
        return
    if is_x86 and sys.platform == "linux" and "AVX2" not in machine.features:
        yield "this CPU has no AVX2, so networks run several times slower than on newer ones"
    if is_x86 and "openvino" not in facts.packages:
        yield "OpenVINO, which is faster on most CPUs, is not installed: pip install 'noise2blur[openvino]'"
    if machine.cores * 2 < machine.all_cores and machine.cores < 4:
        yield (
            f"this process may use {machine.cores} cores of {machine.all_cores} hardware threads: raise the "
            "CPU limit of the container (--cpus), or the affinity (taskset)"
        )


def _load(facts: Diagnosis) -> Iterator[str]:
    """Say that others use the CPU, of which this program's own probes are no cause at its start."""
    load, cores = facts.machine.load, facts.machine.cores
    if load is not None and load > cores:
        yield f"other programs keep the CPU busy (load {load:.1f} on {cores} cores): all speeds are too low"


def _memory(facts: Diagnosis) -> Iterator[str]:
    free = facts.machine.free_mb
    if free is not None and free < _LITTLE_MEMORY_MB:
        yield f"only {free:.0f} MB of memory are free, so tiles are small and slow: end other programs"


def _cameras(facts: Diagnosis) -> Iterator[str]:
    refused = [camera.device for camera in facts.cameras if not camera.may_open]
    if refused:
        yield (
            f"this user may not open {', '.join(refused)}: sudo usermod -aG video $USER, then log in again"
        )
