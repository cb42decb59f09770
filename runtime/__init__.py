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
    from .denoiser import Denoiser
    from .images.image import Image, read_image, write_image
    from .images.metrics import psnr, ssim
    from .model_info import ModelInfo
    from .sources import CameraSettings, frames

__all__ = [
    "CameraSettings",
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
    "frames",
    "psnr",
    "read_image",
    "ssim",
    "write_image",
]

_HOMES = {
    "CameraSettings": "sources",
    "Denoiser": "denoiser",
    "Image": "images.image",
    "ModelInfo": "model_info",
    "frames": "sources",
    "psnr": "images.metrics",
    "read_image": "images.image",
    "ssim": "images.metrics",
    "write_image": "images.image",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
