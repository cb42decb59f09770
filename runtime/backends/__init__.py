"""What runs a model: one file for each library, behind one protocol, and the choice between them."""

from .choice import BACKENDS, REBUILD, open_backend
from .devices import parse_device
from .protocol import ASSUMED_BYTES_PER_PX, Backend, InputShape, OverlappedBackend

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
