"""GPU memory, page-locked host memory and a stream, through cuda-bindings, which needs no compiler."""

from __future__ import annotations

import ctypes
import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import DeviceError, MissingPackageError


@dataclass(frozen=True, eq=False)
class Buffer:
    """As many bytes on the GPU as in page-locked host memory, which the GPU reads and writes directly."""

    device_address: int
    host_address: int
    host: np.ndarray  # uint8, (size,)


class Cuda:
    """One GPU and one stream on it.

    Args:
        device_index: which GPU.

    Raises:
        MissingPackageError: cuda-bindings is not installed.
        DeviceError: there is no such GPU, or no driver.
    """

    def __init__(self, device_index: int) -> None:
        try:
            self._api = importlib.import_module("cuda.bindings.runtime")
        except ImportError as error:
            raise MissingPackageError("cuda-bindings") from error
        self._device_index = device_index
        count = self._call("cudaGetDeviceCount")
        if device_index >= count:
            raise DeviceError(f"there is no GPU cuda:{device_index}; this machine has {count}")
        self.use_device()
        self._stream = self._call("cudaStreamCreate")

    @property
    def stream(self) -> int:
        """The stream's handle."""
        return int(self._stream)

    def use_device(self) -> None:
        """Choose the GPU for the thread that calls, as CUDA wants it in every thread."""
        self._call("cudaSetDevice", self._device_index)

    def allocate(self, size: int) -> Buffer:
        """A buffer of so many bytes."""
        device_address = int(self._call("cudaMalloc", size))
        host_address = int(self._call("cudaMallocHost", size))
        host = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(host_address))
        return Buffer(device_address, host_address, host)

    def free(self, buffer: Buffer) -> None:
        """Give a buffer back; its array must not be touched any more."""
        self._call("cudaFree", buffer.device_address)
        self._call("cudaFreeHost", buffer.host_address)

    def copy_to_device(self, buffer: Buffer) -> None:
        """Copy a buffer from the host to the GPU, in the order of the stream."""
        kind = self._api.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._copy(buffer.device_address, buffer.host_address, buffer.host.nbytes, kind)

    def copy_to_host(self, buffer: Buffer) -> None:
        """Copy a buffer from the GPU to the host, in the order of the stream."""
        kind = self._api.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._copy(buffer.host_address, buffer.device_address, buffer.host.nbytes, kind)

    def synchronise(self) -> None:
        """Wait until the stream has done everything."""
        self._call("cudaStreamSynchronize", self._stream)

    def close(self) -> None:
        """Give the stream back; buffers have to be freed before."""
        self._call("cudaStreamDestroy", self._stream)

    def _copy(self, to: int, source: int, size: int, kind: Any) -> None:
        self._call("cudaMemcpyAsync", to, source, size, kind, self._stream)

    def _call(self, function: str, *arguments: Any) -> Any:
        try:
            status, *results = getattr(self._api, function)(*arguments)
        except RuntimeError as error:  # how cuda-bindings says that the driver or a library is not there
            raise DeviceError(f"CUDA cannot start: {error}; it needs an NVIDIA GPU and its driver") from error
        if status != self._api.cudaError_t.cudaSuccess:
            raise DeviceError(
                f"CUDA failed: {function} gave {status.name}; is there a GPU with a recent driver?"
            )
        return results[0] if results else None
