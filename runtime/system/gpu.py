"""Find the machine's GPU by its driver; no package is needed."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass

_MAJOR, _MINOR, _INTEGRATED = 75, 76, 18  # CUdevice_attribute


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU."""

    name: str  # "Orin"
    compute_capability: str  # "8.7"
    integrated: bool = False  # shares the CPU's memory, as in a Jetson


def find_gpu(index: int = 0) -> Gpu | None:
    """Return a GPU by its index; None if there is no such GPU or no driver."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None
    device, number = ctypes.c_int(), ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), index):
        return None
    name = ctypes.create_string_buffer(256)
    if driver.cuDeviceGetName(name, len(name), device):
        return None
    values = []
    for attribute in (_MAJOR, _MINOR, _INTEGRATED):
        if driver.cuDeviceGetAttribute(ctypes.byref(number), attribute, device):
            return None
        values.append(number.value)
    major, minor, integrated = values
    return Gpu(name.value.decode(errors="replace"), f"{major}.{minor}", bool(integrated))
