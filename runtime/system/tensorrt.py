"""Find and load TensorRT and TensorRT-RTX, the two flavours of TensorRT."""

from __future__ import annotations

from typing import Any, Literal

from . import packages

Flavour = Literal["tensorrt", "tensorrt-rtx"]
FLAVOURS: tuple[Flavour, ...] = ("tensorrt", "tensorrt-rtx")
_MODULES = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
_EXTRAS = {"tensorrt": "tensorrt", "tensorrt-rtx": "rtx"}


def is_installed(flavour: str) -> bool:
    """Return whether a flavour is installed; its type stubs alone, which have the same name, do not count."""
    return packages.is_installed(_MODULES[flavour])


def version_of(flavour: str) -> str:
    """Return the version of an installed flavour, such as "10.3.0".

    Raises:
        MissingPackageError: it is not installed or cannot be loaded.
    """
    return load(flavour).__version__


def load(flavour: str) -> Any:
    """Return the module of a flavour.

    Raises:
        MissingPackageError: it is not installed or cannot be loaded.
    """
    module = packages.require(_MODULES[flavour], package=flavour, extra=_EXTRAS[flavour])
    if not hasattr(module, "Runtime"):  # a folder of type stubs can be imported too
        raise packages.MissingPackageError(flavour, hint=packages.install_hint(flavour, _EXTRAS[flavour]))
    return module
