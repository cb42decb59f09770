"""Report which packages are installed, without importing them."""

from __future__ import annotations

import importlib.metadata

OPENCV = (
    "opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"
)  # fmt: skip
ONNXRUNTIME = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino")
TENSORRT = ("tensorrt", "tensorrt-rtx")
_PACKAGES = (
    "numpy", "typer", *OPENCV, *ONNXRUNTIME, "openvino", *TENSORRT, "cuda-bindings", "pycuda", "av",
    "websockets", "tifffile", "pyvirtualcam", "onnx", "torch",
)  # fmt: skip


def installed_packages() -> dict[str, str]:
    """Return the versions of the packages that n2b may use, by the names that pip knows."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
