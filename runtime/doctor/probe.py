"""Collect one kind of facts in a process of its own, which may crash or hang without harm.

`python -m n2b.runtime.doctor.probe KIND ARGUMENTS…` prints one JSON object as its last line.
"""

from __future__ import annotations

import ctypes
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ..errors import EnvironmentFault, N2BError, shorten

_SIDE_PX = 256
_RUNS = 3
_MARK = "n2b-doctor: "  # before the result, since libraries print too


def probe(kind: str, *arguments: str, timeout_s: float = 60) -> dict[str, Any]:
    """Return what a probe found: its facts, or {"reason": …} if it failed, crashed or hung.

    Args:
        kind: "gpu", "opencv", "tensorrt" or "model".
        timeout_s: after that it is ended.
    """
    command = [sys.executable, "-m", __spec__.name if __spec__ else __name__, kind, *arguments]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=timeout_s, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"reason": f"did not end within {timeout_s:g} s"}
    except OSError as error:
        return {"reason": f"cannot be started: {error}"}
    for line in reversed(done.stdout.splitlines()):
        if line.startswith(_MARK):
            return json.loads(line.removeprefix(_MARK))
    return {"reason": f"crashed: {_cause(done.returncode, done.stderr)}"}


def _cause(status: int, messages: str) -> str:
    """Describe the end of a process that gave no result: its signal, and the last line that it printed."""
    try:
        how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
    except ValueError:
        how = f"signal {-status}"
    lines = [line.strip() for line in messages.splitlines() if line.strip()]
    return f"{how}; {shorten(lines[-1], 160)}" if lines else how


def _gpu() -> dict[str, Any]:
    """Return the first GPU, by the driver, and the memory by NVML."""
    from ..system.gpu import find_gpu

    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return {"reason": f"no NVIDIA driver ({name} is not there)"}
    status = driver.cuInit(0)
    gpu = find_gpu()
    if gpu is None:
        return {"reason": f"the driver finds no GPU (cuInit gave {status})"}
    number = ctypes.c_int()
    driver.cuDriverGetVersion(ctypes.byref(number))
    free, total = _gpu_memory(driver)
    return {
        **asdict(gpu), "cuda": f"{number.value // 1000}.{number.value % 1000 // 10}",
        "driver": _driver_version(), "free_mb": free, "memory_mb": total,
    }  # fmt: skip


def _gpu_memory(driver: Any) -> tuple[float | None, float | None]:
    """Return the free and the whole memory of the first GPU, in 10⁶ bytes."""
    device, context = ctypes.c_int(), ctypes.c_void_p()
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    if driver.cuDeviceGet(ctypes.byref(device), 0):
        return None, None
    if driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device) or driver.cuCtxSetCurrent(context):
        return None, None
    if driver.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)):
        return None, None
    return free.value / 1e6, total.value / 1e6


def _driver_version() -> str:
    """Return the version of the driver, such as "560.35.03"; "" if NVML is not there, as on some Jetsons."""
    try:
        nvml = ctypes.CDLL("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")
    except OSError:
        return ""
    text = ctypes.create_string_buffer(96)
    if nvml.nvmlInit_v2() or nvml.nvmlSystemGetDriverVersion(text, len(text)):
        return ""
    return text.value.decode(errors="replace")


def _opencv() -> dict[str, Any]:
    from ..system.opencv import load_opencv

    cv2 = load_opencv()
    build = cv2.getBuildInformation()
    windows = re.search(r"^\s*GUI:\s*(\S.*)$", build, re.MULTILINE)
    name = windows[1].strip() if windows else ""
    return {
        "version": cv2.__version__, "path": str(cv2.__file__),
        "ffmpeg": _has(build, "FFMPEG"), "gstreamer": _has(build, "GStreamer"),
        "v4l2": _has(build, "v4l/v4l2"), "windows": "" if name in ("", "NONE") else name,
    }  # fmt: skip


def _has(build: str, name: str) -> bool:
    return re.search(rf"^\s*{re.escape(name)}:\s+YES", build, re.MULTILINE) is not None


def _tensorrt(flavour: str) -> dict[str, Any]:
    """Load one flavour of TensorRT and start CUDA; there is no engine to run."""
    from ..cuda import open_cuda
    from ..system.tensorrt import load

    trt = load(flavour)
    cuda = open_cuda()
    cuda.close()
    return {"version": str(trt.__version__), "binding": cuda.name}


def _model(model: str, backend: str, device: str) -> dict[str, Any]:
    """Open a model and denoise a small image."""
    import numpy as np

    from ..denoiser import Denoiser

    with Denoiser(model or None, backend=backend, device=device, strict=backend != "auto") as denoiser:  # type: ignore[arg-type]
        image = np.zeros((_SIDE_PX, _SIDE_PX, 3), denoiser.info.io)
        seconds = []
        for _ in range(_RUNS + 1):
            started = time.perf_counter()
            denoiser(image)
            seconds.append(time.perf_counter() - started)
        return {
            "library": denoiser.backend, "device": denoiser.device, "precision": str(denoiser.precision),
            "passed_over": list(denoiser.passed_over), "model": str(denoiser.model),
            "mp_per_s": round(_SIDE_PX**2 / 1e6 / min(seconds[1:]), 3),
        }  # fmt: skip


_PROBES: dict[str, Callable[..., dict[str, Any]]] = {
    "gpu": _gpu,
    "opencv": _opencv,
    "tensorrt": _tensorrt,
    "model": _model,
}


def main() -> None:
    """Run one probe and print what it found."""
    kind, *arguments = sys.argv[1:]
    try:
        found = _PROBES[kind](*arguments)
    except N2BError as error:
        found = {"reason": str(error), "is_missing": isinstance(error, EnvironmentFault)}
    except Exception as error:  # of whatever library
        found = {"reason": f"{type(error).__name__}: {shorten(error)}"}
    print(f"{_MARK}{json.dumps(found)}", flush=True)


if __name__ == "__main__":
    main()
