"""The names of devices."""

from __future__ import annotations

from ..errors import UserError


def parse_device(device: str) -> tuple[str, int]:
    """The kind of a device, "auto", "cpu" or "cuda", and its index.

    Raises:
        UserError: it is none of them.
    """
    kind, colon, index = device.partition(":")
    if kind in ("auto", "cpu") and not colon:
        return kind, 0
    if kind == "cuda" and (not colon or index.isdecimal()):
        return kind, int(index or 0)
    raise UserError(f"there is no device '{device}'; there are auto, cpu, cuda and cuda:N")
