"""Print the GPU, its driver, and the versions of what n2b uses."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import subprocess

from n2b.runtime.system.gpu import find_gpu

_PACKAGES = (
    "numpy", "torch", "onnx", "onnxruntime", "onnxruntime-gpu", "tensorrt", "tensorrt-rtx-cu13-libs",
    "cuda-bindings", "pycuda",
)  # fmt: skip


def main() -> None:
    """Print one fact a line."""
    gpu = find_gpu()
    print(f"GPU                     {f'{gpu.name}, {gpu.compute_capability}' if gpu else 'none: no driver'}")
    if shutil.which("nvidia-smi"):
        query = (
            "--query-gpu=driver_version,memory.total,clocks.sm,clocks.max.sm,power.limit",
            "--format=csv",
        )
        done = subprocess.run(("nvidia-smi", *query), capture_output=True, text=True, check=False)
        print((done.stdout or done.stderr).rstrip())
    print(f"{'Python':23} {platform.python_version()}, {platform.machine()}")
    for package in _PACKAGES:
        try:
            print(f"{package:23} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            print(f"{package:23} not installed")


if __name__ == "__main__":
    main()
