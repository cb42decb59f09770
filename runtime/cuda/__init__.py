"""Manage GPU and page-locked memory, streams, events and graphs. Imports: system, errors.

Two bindings implement one interface: `cuda_bindings.py` needs no compiler and has graphs; `pycuda.py` serves
where only pycuda is installed. Both use the GPU's primary context, as PyTorch, OpenCV and TensorRT do, and
make it current only while they need it.
"""

from __future__ import annotations

from typing import Literal, get_args

from ..errors import UserError
from ..system.packages import is_installed
from .protocol import CUDA_BINDINGS, PYCUDA, Buffer, Cuda, Event, Graphs, Stream

__all__ = ["CUDA_APIS", "Buffer", "Cuda", "CudaApi", "Event", "Graphs", "Stream", "check_api", "open_cuda"]

CudaApi = Literal["auto", "pycuda", "cuda-bindings"]
CUDA_APIS: tuple[CudaApi, ...] = get_args(CudaApi)


def open_cuda(api: str = "auto", device_index: int = 0) -> Cuda:
    """Open a GPU with one of the two bindings.

    Args:
        api: one of CUDA_APIS; auto: cuda-bindings if installed, since it has graphs, else pycuda.

    Raises:
        UserError: there is no such api.
        MissingPackageError: its package is not installed or cannot be loaded.
        DeviceError: there is no such GPU, or no driver.
    """
    check_api(api)
    if api == "auto":
        api = PYCUDA if is_installed("pycuda") and not is_installed("cuda.bindings") else CUDA_BINDINGS
    if api == CUDA_BINDINGS:
        from .cuda_bindings import CudaBindings

        return CudaBindings(device_index)
    from .pycuda import PyCuda

    return PyCuda(device_index)


def check_api(api: str) -> None:
    """Raise UserError unless it is one of CUDA_APIS."""
    if api not in CUDA_APIS:
        raise UserError(f"there is no CUDA api '{api}'; there are {', '.join(CUDA_APIS)}")
