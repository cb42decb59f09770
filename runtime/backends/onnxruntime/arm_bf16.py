"""Let ONNX Runtime multiply in BF16 on a 64-bit Arm."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from ...errors import DeviceError

_ARM_64 = ("aarch64", "arm64")
_KEY = "mlas.enable_gemm_fastmath_arm64_bfloat16"


def multiply_in_bf16(options: Any, *, cpuinfo: Path = Path("/proc/cpuinfo")) -> None:
    """Set the option of a session by which it multiplies FP32 matrices in BF16.

    Raises:
        DeviceError: the CPU is no 64-bit Arm with BF16, where the option would do nothing.
    """
    if platform.machine().lower() not in _ARM_64:
        raise DeviceError(
            "onnxruntime computes in BF16 on 64-bit Arm only; use openvino, or --precision auto"
        )
    if not _has_bf16(cpuinfo):
        raise DeviceError("this CPU does not compute in BF16; leave --precision out")
    options.add_session_config_entry(_KEY, "1")


def _has_bf16(cpuinfo: Path) -> bool:
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return False
    return any("bf16" in line.split() for line in lines if line.startswith("Features"))
