"""Select the faster of OpenVINO and ONNX Runtime for a model on this CPU."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ..errors import EnvironmentFault, ModelError
from ..system.packages import install_hint, is_installed
from ..system.timing import time_interleaved
from .autotune_cache import entry_path, read_entry, write_entry
from .memory_probe import trial_batch
from .onnxruntime.backend import OnnxRuntimeBackend
from .openvino.backend import OpenVinoBackend
from .protocol import Backend

_EXTRAS = {"onnxruntime": "cpu", "openvino": "openvino"}
_PACKAGES = ("openvino", "onnxruntime", "onnxruntime-gpu")
_RUNS = 3
_SIDE_PX = 128  # a larger tile widens the lead, and a cold start waits for it


def open_fastest(model: Path) -> Backend:
    """Open an ONNX file on the CPU with the faster of the installed libraries that can run it.

    They are compared once per model and machine, which takes about a second; the result is kept in the user's
    cache folder. The backend's `passed_over` has the reason against the other.

    Raises:
        ModelError: no library can run the file.
        MissingPackageError: none is installed.
    """
    installed = [name for name in _EXTRAS if is_installed(name)]
    missing = [
        f"{name}: not installed: {install_hint(name, extra)}"
        for name, extra in _EXTRAS.items()
        if name not in installed
    ]
    if len(installed) < len(_EXTRAS):
        return _with(_open(installed[0] if installed else "onnxruntime", model), missing)
    path = entry_path("fastest", model, _PACKAGES)
    return _open_cached(path, model) or _compare(path, model)


def _open_cached(path: Path, model: Path) -> Backend | None:
    entry = read_entry(path) or {}
    taken, passed_over = entry.get("taken"), entry.get("passed_over")
    if taken not in tuple(_EXTRAS) or not isinstance(passed_over, list):
        return None
    try:
        return _with(_open(taken, model), [str(reason) for reason in passed_over])
    except (EnvironmentFault, ModelError):  # it opened before: compare again
        return None


def _compare(path: Path, model: Path) -> Backend:
    opened: list[Backend] = []
    errors: dict[str, EnvironmentFault | ModelError] = {}
    for name in _EXTRAS:
        try:
            opened.append(_open(name, model))
            opened[-1].measure_bytes_per_px()  # before other runs leave memory behind
        except (EnvironmentFault, ModelError) as error:
            errors[name] = error
    if not opened:
        raise errors["onnxruntime"]
    if errors:  # not cached: the fault may be repaired
        return _with(opened[0], [f"{name}: {error}" for name, error in errors.items()])
    backend, passed_over = _faster(opened)
    write_entry(path, {"taken": backend.name, "passed_over": passed_over})
    return _with(backend, passed_over)


def _faster(opened: list[Backend]) -> tuple[Backend, list[str]]:
    """Return the faster of two, and the reason against the other, which is closed."""
    try:
        batches = [trial_batch(backend, _SIDE_PX) for backend in opened]
        runs = [partial(backend.run, batch) for backend, batch in zip(opened, batches, strict=True)]
        seconds = time_interleaved(runs, _RUNS)
    except BaseException:
        for backend in opened:
            backend.close()
        raise
    (fast_s, winner), (slow_s, loser) = sorted(zip(seconds, opened, strict=True), key=lambda entry: entry[0])
    loser.close()
    return winner, [f"{loser.name}: {fast_s / slow_s:.2f}× as fast here"]


def _open(name: str, model: Path) -> Backend:
    if name == "openvino":
        return OpenVinoBackend(model, device="cpu")
    return OnnxRuntimeBackend(model, device="cpu")


def _with(backend: Backend, passed_over: list[str]) -> Backend:
    backend.passed_over = tuple(passed_over)
    return backend
