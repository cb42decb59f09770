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
from .triton.served import DEFAULT_NAME, ServedModel, parse_served

__all__ = [
    "ASSUMED_BYTES_PER_PX",
    "BACKENDS",
    "DEFAULT_NAME",
    "PRECISIONS",
    "REBUILD",
    "Backend",
    "BackendName",
    "InputShape",
    "OverlappedBackend",
    "PrecisionChoice",
    "Rebuild",
    "ServedModel",
    "open_backend",
    "parse_device",
    "parse_served",
]
