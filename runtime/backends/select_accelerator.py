"""Select DirectML or CoreML of ONNX Runtime, if it computes a model rightly and faster than the CPU."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial

import numpy as np

from ..errors import EnvironmentFault, ModelError
from ..system.timing import time_interleaved
from .autotune_cache import entry_path, read_entry, write_entry
from .memory_probe import trial_batch
from .onnx_request import OnnxRequest, open_onnx
from .onnxruntime.session import available_accelerators
from .protocol import Backend
from .select_cpu import open_fastest

_logger = logging.getLogger(__name__)

_PACKAGES = ("onnxruntime", "onnxruntime-directml", "openvino")
_RUNS = 3
_SIDE_PX = 256
_LEAST_PSNR_DB = 40.0  # to the CPU's result: FP16 arithmetic is above, a wrong result far below


def open_fastest_device(request: OnnxRequest) -> Backend:
    """Open an ONNX file by DirectML or CoreML if it has a device and is faster, else on the CPU.

    The comparison is cached, as that of `open_fastest`. One that cannot start is passed over with a warning,
    one that computes something else than the CPU with a reason.
    A request for BF16, INT8 or the fastest form is one for the CPU.

    Raises: as `open_fastest`.
    """
    kinds = available_accelerators()
    if not kinds or request.fast or request.precision in ("bf16", "int8"):
        return open_fastest(request)
    kind = kinds[0]
    path = entry_path(f"accelerator-{kind}", request.form(), _PACKAGES)
    known = (read_entry(path) or {}).get("against")
    on_cpu = open_fastest(request)
    if isinstance(known, str) and known:
        return _with(on_cpu, f"{kind}: {known}")
    try:
        accelerated = open_onnx(request.form(), "onnxruntime", replace(request, device=kind, strict=True))
    except (EnvironmentFault, ModelError) as error:
        return _refuse(on_cpu, kind, str(error))
    try:
        against, speed = ("", "") if known == "" else _compare(accelerated, on_cpu)
    except (EnvironmentFault, ModelError) as error:
        accelerated.close()
        return _refuse(on_cpu, kind, str(error))
    write_entry(path, {"against": against})
    if against:
        accelerated.close()
        return _with(on_cpu, f"{kind}: {against}")
    on_cpu.close()
    return _with(accelerated, f"{on_cpu.name} on cpu: {speed or 'slower here'}")


def _compare(accelerated: Backend, on_cpu: Backend) -> tuple[str, str]:
    """Return the reason against an accelerator, "" without one, and how fast the CPU is next to it."""
    zeros = trial_batch(accelerated, _SIDE_PX)
    noise = np.random.default_rng(0).integers(0, 256, zeros.shape, np.uint8)
    batch = noise if zeros.dtype == np.uint8 else (noise / 255).astype(zeros.dtype)
    results = [np.array(backend.run(batch), np.float64) for backend in (accelerated, on_cpu)]
    peak = 255 if zeros.dtype == np.uint8 else 1
    error = float(np.mean((results[0] - results[1]) ** 2)) / peak**2
    if not error <= 10 ** (-_LEAST_PSNR_DB / 10):  # nor NaN
        return "it computes something else than the CPU", ""
    fast, cpu = time_interleaved([partial(one.run, batch) for one in (accelerated, on_cpu)], _RUNS, warm=True)
    return (
        (f"{cpu / fast:.2f}× as fast as the CPU here", "")
        if fast >= cpu
        else ("", f"{fast / cpu:.2f}× as fast here")
    )


def _refuse(on_cpu: Backend, kind: str, reason: str) -> Backend:
    _logger.warning(f"using the CPU, since {reason}")
    return _with(on_cpu, f"{kind}: {reason}")


def _with(backend: Backend, reason: str) -> Backend:
    backend.passed_over = (reason, *backend.passed_over)
    return backend
