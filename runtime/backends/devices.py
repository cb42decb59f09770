"""Parse the names of devices."""

from __future__ import annotations

from typing import Literal

from ..errors import UserError

DeviceKind = Literal["auto", "cpu", "cuda", "dml", "coreml"]
# of ONNX Runtime, besides CUDA: any GPU under Windows by DirectML, a Mac's GPU and neural engine by CoreML
ACCELERATORS: tuple[DeviceKind, ...] = ("dml", "coreml")


def parse_device(device: str) -> tuple[DeviceKind, int]:
    """Return the kind of a device, "auto", "cpu", "cuda", "dml" or "coreml", and its index.

    Raises:
        UserError: there is no such device.
    """
    kind, colon, index = device.partition(":")
    if device == "auto" or device == "cpu" or device == "coreml":  # noqa: PLR1714
        return device, 0
    if (kind == "cuda" or kind == "dml") and (not colon or index.isdecimal()):  # noqa: PLR1714
        return kind, int(index or 0)
    raise UserError(
        f"there is no device '{device}'; there are auto, cpu, cuda, cuda:N, dml, dml:N and coreml"
    )
