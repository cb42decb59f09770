"""Parse the names of devices."""

from __future__ import annotations

from typing import Literal

from ..errors import UserError

DeviceKind = Literal["auto", "cpu", "cuda"]


def parse_device(device: str) -> tuple[DeviceKind, int]:
    """Return the kind of a device, "auto", "cpu" or "cuda", and its index.

    Raises:
        UserError: there is no such device.
    """
    kind, colon, index = device.partition(":")
    if device == "auto" or device == "cpu":  # noqa: PLR1714
        return device, 0
    if kind == "cuda" and (not colon or index.isdecimal()):
        return kind, int(index or 0)
    raise UserError(f"there is no device '{device}'; there are auto, cpu, cuda and cuda:N")
