"""OpenVINO or ONNX Runtime: the faster one on this CPU, for this model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import EnvironmentFault, ModelError
from ..system.packages import install_hint, is_installed
from .autotune_cache import entry_path, read_entry, write_entry
from .onnxruntime.backend import OnnxRuntimeBackend
from .openvino.backend import OpenVinoBackend
from .protocol import Backend
from .race import race

_CLASSES: dict[str, Any] = {"onnxruntime": OnnxRuntimeBackend, "openvino": OpenVinoBackend}
_EXTRAS = {"onnxruntime": "cpu", "openvino": "openvino"}
_PACKAGES = ("openvino", "onnxruntime", "onnxruntime-gpu")


def open_fastest(model: Path) -> Backend:
    """An ONNX file on the CPU, in the faster of the libraries that are installed and take it.

    They race once for a model and machine, which takes about a second; the outcome is kept in the user's
    cache folder. The backend's `passed_over` tells of the other.

    Raises:
        ModelError: no library takes the file.
        MissingPackageError: none is installed.
    """
    installed = _installed()
    missing = [
        f"{name}: is not installed: {install_hint(name, extra)}"
        for name, extra in _EXTRAS.items()
        if name not in installed
    ]
    if len(installed) < len(_CLASSES):
        return _with(_open(installed[0] if installed else "onnxruntime", model), missing)
    path = entry_path("fastest", model, _PACKAGES)
    return _open_remembered(path, model) or _race(path, model)


def _installed() -> list[str]:
    return [name for name in _CLASSES if is_installed(name)]


def _open_remembered(path: Path, model: Path) -> Backend | None:
    fact = read_entry(path) or {}
    taken, passed_over = fact.get("taken"), fact.get("passed_over")
    if taken not in tuple(_CLASSES) or not isinstance(passed_over, list):
        return None
    try:
        return _with(_open(taken, model), [str(reason) for reason in passed_over])
    except (EnvironmentFault, ModelError):  # it opened then: whatever it is, the race tells
        return None


def _race(path: Path, model: Path) -> Backend:
    opened: list[Backend] = []
    errors: dict[str, EnvironmentFault | ModelError] = {}
    for name in _CLASSES:
        try:
            opened.append(_open(name, model))
            opened[-1].measure_bytes_per_px()  # which is not to be told after the race, with its leavings
        except (EnvironmentFault, ModelError) as error:
            errors[name] = error
    if not opened:
        raise errors["onnxruntime"]
    if errors:  # not kept: what failed today may be repaired tomorrow
        return _with(opened[0], [f"{name}: {error}" for name, error in errors.items()])
    backend, passed_over = _faster(opened)
    write_entry(path, {"taken": backend.name, "passed_over": passed_over})
    return _with(backend, passed_over)


def _faster(opened: list[Backend]) -> tuple[Backend, list[str]]:
    """The faster of two, and why not the other, which is closed."""
    try:
        seconds = race(opened)
    except BaseException:
        for backend in opened:
            backend.close()
        raise
    (best, winner), (least, loser) = sorted(zip(seconds, opened, strict=True), key=lambda entry: entry[0])
    loser.close()
    return winner, [f"{loser.name}: {best / least:.2f} times as fast here"]


def _open(name: str, model: Path) -> Backend:
    return _CLASSES[name](model, device="cpu")


def _with(backend: Backend, passed_over: list[str]) -> Backend:
    backend.passed_over = tuple(passed_over)
    return backend
