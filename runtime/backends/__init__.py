"""Run models: a folder per inference library, one protocol. Imports: cuda, images, system, model_info."""

from .devices import parse_device
from .protocol import (
    ASSUMED_BYTES_PER_PX,
    PRECISIONS,
    Backend,
    InputShape,
    OverlappedBackend,
    PrecisionChoice,
)
from .select import BACKENDS, REBUILD, BackendName, Rebuild, open_backend

__all__ = [
    "ASSUMED_BYTES_PER_PX",
    "BACKENDS",
    "PRECISIONS",
    "REBUILD",
    "Backend",
    "BackendName",
    "InputShape",
    "OverlappedBackend",
    "PrecisionChoice",
    "Rebuild",
    "open_backend",
    "parse_device",
]
