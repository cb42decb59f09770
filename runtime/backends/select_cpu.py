"""Select the fastest of OpenVINO and ONNX Runtime, and of the forms of a model, on this CPU."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..errors import EnvironmentFault, ModelError
from ..system.packages import install_hint, is_installed
from ..system.timing import time_interleaved
from .autotune_cache import entry_path, read_entry, write_entry
from .memory_probe import trial_batch
from .onnx_request import CPU_LIBRARIES, OnnxRequest, int8_command, open_onnx, why_not_fast
from .protocol import Backend

_PACKAGES = ("openvino", "onnxruntime", "onnxruntime-gpu")
_RUNS = 3
_SIDE_PX = 128  # a larger tile widens the lead, and a cold start waits for it


@dataclass(frozen=True)
class _Candidate:
    """A file and a library to run it."""

    model: Path
    library: str

    def open(self, request: OnnxRequest) -> Backend:
        return open_onnx(self.model, self.library, request)


def open_fastest(request: OnnxRequest, libraries: Collection[str] = tuple(CPU_LIBRARIES)) -> Backend:
    """Open an ONNX file on the CPU with the faster of the installed libraries that can run it.

    With `request.fast` its INT8 form is tried too, if it loses no more than that may. All are
    compared once per model and machine, which takes about a second; the result is kept in the user's cache
    folder. The backend's `passed_over` has the reasons against the others.

    Raises:
        ModelError: no library can run the file.
        MissingPackageError: none is installed.
    """
    request = replace(request, device="cpu")
    installed = [name for name in libraries if is_installed(name)]
    reasons = [
        f"{name}: not installed: {install_hint(name, CPU_LIBRARIES[name])}"
        for name in libraries
        if name not in installed
    ]
    models = [request.form()]
    if request.fast and request.files.int8_for_cpu is None:
        reasons.append(f"int8: there is no such form; {int8_command(models[0])} makes one")
    elif request.fast and request.files.int8_for_cpu not in (None, *models):
        models.append(request.files.int8_for_cpu)
    candidates = [_Candidate(model, name) for model in models for name in installed or ["onnxruntime"]]
    if len(candidates) == 1:
        return _with(candidates[0].open(request), reasons)
    choice = "fastest" if request.precision == "auto" else f"fastest-{request.precision}"
    path = entry_path(choice, models[0], _PACKAGES, *models[1:])
    opened = _open_cached(path, candidates, request) or _compare(path, candidates, request)
    return _with(opened, reasons)


def _open_cached(path: Path, candidates: Sequence[_Candidate], request: OnnxRequest) -> Backend | None:
    entry = read_entry(path) or {}
    passed_over = entry.get("passed_over")
    taken = [
        one
        for one in candidates
        if (one.library, one.model.name) == (entry.get("taken"), entry.get("model", one.model.name))
    ]
    if not taken or not isinstance(passed_over, list):
        return None
    try:
        return _with(taken[0].open(request), [str(reason) for reason in passed_over])
    except (EnvironmentFault, ModelError):  # it opened before: compare again
        return None


def _compare(path: Path, candidates: Sequence[_Candidate], request: OnnxRequest) -> Backend:
    opened: list[Backend] = []
    errors: dict[str, EnvironmentFault | ModelError] = {}
    too_lossy: list[str] = []
    for one in candidates:
        is_int8_form = one.model != candidates[0].model
        try:
            backend = one.open(request)
        except (EnvironmentFault, ModelError) as error:
            errors.setdefault("int8" if is_int8_form else one.library, error)
            continue
        reason = why_not_fast(backend) if is_int8_form else None
        if reason is not None:
            backend.close()
            too_lossy = [reason]
            continue
        opened.append(backend)
        try:
            backend.measure_bytes_per_px()  # before other runs leave memory behind
        except (EnvironmentFault, ModelError) as error:
            errors.setdefault(one.library, error)
            opened.remove(backend)
    if not opened:
        preferred = "openvino" if request.precision == "bf16" else "onnxruntime"
        raise errors.get(preferred) or next(iter(errors.values()))
    if len(opened) == 1:
        backend, passed_over = opened[0], []
    else:
        backend, passed_over = _fastest(opened)
    passed_over += too_lossy
    if errors:  # not cached: the fault may be repaired
        return _with(backend, [f"{name}: {error}" for name, error in errors.items()] + passed_over)
    write_entry(path, {"taken": backend.name, "model": backend.model.name, "passed_over": passed_over})
    return _with(backend, passed_over)


def _fastest(opened: list[Backend]) -> tuple[Backend, list[str]]:
    """Return the fastest, and the reasons against the others, which are closed."""
    try:
        batches = [trial_batch(backend, _SIDE_PX) for backend in opened]
        runs = [partial(backend.run, batch) for backend, batch in zip(opened, batches, strict=True)]
        seconds = time_interleaved(runs, _RUNS)
    except BaseException:
        for backend in opened:
            backend.close()
        raise
    in_order = sorted(zip(seconds, opened, strict=True), key=lambda entry: entry[0])
    fastest_s, winner = in_order[0]
    for _, loser in in_order[1:]:
        loser.close()
    has_forms = len({backend.model for backend in opened}) > 1
    return winner, [
        f"{loser.name}{f' in {loser.precision}' if has_forms else ''}: {fastest_s / its_s:.2f}× as fast here"
        for its_s, loser in in_order[1:]
    ]


def _with(backend: Backend, passed_over: list[str]) -> Backend:
    backend.passed_over = (*passed_over, *backend.passed_over)
    return backend
