"""Which GPU this machine has, asked of the driver itself: no package is needed."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass

_COMPUTE_CAPABILITY_MAJOR, _COMPUTE_CAPABILITY_MINOR = 75, 76  # CUdevice_attribute


@dataclass(frozen=True)
class Gpu:
    """A GPU: its name ("Orin") and compute capability ("8.7")."""

    name: str
    compute_capability: str


def find_gpu() -> Gpu | None:
    """The first GPU, or None where there is no GPU or no driver."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None
    device, number = ctypes.c_int(), ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), 0):
        return None
    name = ctypes.create_string_buffer(256)
    if driver.cuDeviceGetName(name, len(name), device):
        return None
    version = []
    for attribute in (_COMPUTE_CAPABILITY_MAJOR, _COMPUTE_CAPABILITY_MINOR):
        if driver.cuDeviceGetAttribute(ctypes.byref(number), attribute, device):
            return None
        version.append(str(number.value))
    return Gpu(name.value.decode(errors="replace"), ".".join(version))
