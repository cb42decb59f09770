"""Import optional packages, or say what to install on this machine."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import MissingPackageError

# Extras that also contain opencv-python, and what else they contain.
BESIDE_OPENCV = {
    "cpu": ("onnxruntime",),
    "gpu": ("onnxruntime-gpu",),
    "tensorrt": ("tensorrt", "cuda-bindings"),
    "rtx": ("tensorrt-rtx", "cuda-bindings"),
}
JETPACK = Path("/etc/nv_tegra_release")  # exists on a Jetson, whose TensorRT comes with JetPack
SYSTEM_FOLDERS = tuple(
    f"/usr/lib/python{version}/dist-packages"
    for version in (f"{sys.version_info.major}.{sys.version_info.minor}", "3")
)


def require(module: str, *, package: str | None = None, extra: str | None = None) -> Any:
    """Import an optional module.

    Args:
        module: its import name, such as "websockets.asyncio.server".
        package: its name on PyPI; None: the same.
        extra: the extra of noise2blur that contains the package; None: there is none.

    Raises:
        MissingPackageError: it is not installed or cannot be loaded; the message says what to install.
    """
    package = package or module
    try:
        return importlib.import_module(module)
    except (ImportError, OSError, RuntimeError) as error:
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            raise MissingPackageError(package, hint=install_hint(package, extra)) from error
        raise MissingPackageError(package, reason=str(error), hint=repair_hint(module, package)) from error


def is_installed(module: str) -> bool:
    """Return whether a module can be found; a folder without code, such as type stubs, does not count."""
    if module in sys.modules:
        loaded = sys.modules[module]
        spec = getattr(loaded, "__spec__", None)
        return loaded is not None and (spec is None or spec.origin is not None)
    try:
        spec = find_spec(module)
    except ModuleNotFoundError:  # the package that contains it
        return False
    return spec is not None and spec.origin is not None


def check_installed(module: str, extra: str) -> None:
    """Raise MissingPackageError unless a module of that package can be found; nothing is imported."""
    if not is_installed(module):
        raise MissingPackageError(module, extra=extra)


def install_hint(package: str, extra: str | None = None) -> str:
    """Return the command that installs a missing package, and no OpenCV in place of one that is there."""
    if package == "tensorrt":
        if is_hidden(package):
            return _SHOW_SYSTEM_PACKAGES
        if JETPACK.exists():
            return "sudo apt install nvidia-jetpack"
    if extra in BESIDE_OPENCV and (is_installed("cv2") or is_hidden("cv2")):
        missing = (name for name in BESIDE_OPENCV[extra] if name == package or not has_distribution(name))
        return f"pip install {' '.join(missing)}"
    return f"pip install 'noise2blur[{extra}]'" if extra else f"pip install {package}"


def opencv_hint() -> str:
    """Return how to get an OpenCV where there is none."""
    return _SHOW_SYSTEM_PACKAGES if is_hidden("cv2") else "pip install opencv-python-headless"


def repair_hint(module: str, package: str) -> str:
    """Return what to do about an installed package that cannot be loaded."""
    spec = find_spec(module.partition(".")[0])
    if spec is not None and spec.origin is not None and spec.origin.startswith(SYSTEM_FOLDERS):
        return f"repair the system's package in {Path(spec.origin).parent}"
    return f"pip install --force-reinstall {package}"


def is_hidden(module: str) -> bool:
    """Return whether the system has a package that this virtual environment does not see."""
    is_virtual = sys.prefix != sys.base_prefix and sys.base_prefix == "/usr"
    spec = PathFinder.find_spec(module, SYSTEM_FOLDERS) if is_virtual else None
    return spec is not None and spec.origin is not None and not is_installed(module)


_SHOW_SYSTEM_PACKAGES = "the system has it, for environments made with python3 -m venv --system-site-packages"


def has_distribution(name: str) -> bool:
    """Return whether pip knows a package as installed."""
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def load_av() -> Any:
    """Return PyAV, which contains FFmpeg's libraries.

    Raises:
        MissingPackageError: it is not installed or cannot be loaded.
    """
    return require("av", extra="video")
