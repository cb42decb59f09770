"""Run a denoiser of n2b: `with Denoiser("model.onnx") as denoise: clean = denoise(image)`.

Importing this package loads nothing but its error classes; what a name needs is loaded when it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .errors import (
    DeviceError,
    EnvironmentFault,
    ImageError,
    MissingPackageError,
    ModelError,
    N2BError,
    OutOfMemory,
    UserError,
    VerificationError,
)

if TYPE_CHECKING:
    from .artifact import ModelInfo
    from .denoiser import Denoiser
    from .image import Image, read_image, write_image
    from .metrics import psnr, ssim

__all__ = [
    "Denoiser",
    "DeviceError",
    "EnvironmentFault",
    "Image",
    "ImageError",
    "MissingPackageError",
    "ModelError",
    "ModelInfo",
    "N2BError",
    "OutOfMemory",
    "UserError",
    "VerificationError",
    "psnr",
    "read_image",
    "ssim",
    "write_image",
]

_HOMES = {
    "Denoiser": "denoiser",
    "Image": "image",
    "ModelInfo": "artifact",
    "psnr": "metrics",
    "read_image": "image",
    "ssim": "metrics",
    "write_image": "image",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
