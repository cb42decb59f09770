"""What runs a model: one file for each library, behind one protocol, and the choice between them."""

from .devices import parse_device
from .protocol import ASSUMED_BYTES_PER_PX, Backend, InputShape, OverlappedBackend
from .select import BACKENDS, REBUILD, open_backend

__all__ = [
    "ASSUMED_BYTES_PER_PX",
    "BACKENDS",
    "REBUILD",
    "Backend",
    "InputShape",
    "OverlappedBackend",
    "open_backend",
    "parse_device",
]
