"""The flavours of TensorRT: how they are called, whether they are here, how they are loaded."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from ..errors import MissingPackageError

FLAVOURS = ("tensorrt", "tensorrt-rtx")
_MODULES = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
_EXTRAS = {"tensorrt": "tensorrt", "tensorrt-rtx": "rtx"}


def is_installed(flavour: str) -> bool:
    """Whether a TensorRT of this flavour is there (and not only the type stubs, which share its name)."""
    spec = importlib.util.find_spec(_MODULES[flavour])
    return spec is not None and spec.origin is not None


def version_of(flavour: str) -> str:
    """The version of an installed flavour, such as "10.3.0".

    Raises:
        MissingPackageError: it is not installed, or cannot load.
    """
    return load(flavour).__version__


def load(flavour: str) -> Any:
    """The module of a flavour.

    Raises:
        MissingPackageError: it is not installed, or cannot load.
    """
    try:
        module = importlib.import_module(_MODULES[flavour])
    except (ImportError, OSError, RuntimeError) as error:
        is_missing = isinstance(error, ModuleNotFoundError) and error.name == _MODULES[flavour]
        reason = None if is_missing else str(error)
        raise MissingPackageError(flavour, extra=_EXTRAS[flavour], reason=reason) from error
    if not hasattr(module, "Runtime"):  # a folder of type stubs passes for a package
        raise MissingPackageError(flavour, extra=_EXTRAS[flavour])
    return module
