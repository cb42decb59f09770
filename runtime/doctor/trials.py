"""Open a model with every backend, one after another, each in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..model_files import DEFAULT_BUNDLED, ModelFiles
from ..system.tensorrt import FLAVOURS
from .facts import Outcome, Trial
from .probe import probe

_TIMEOUT_S = 90.0
_BUILDERS = ("onnxruntime-tensorrt", "onnxruntime-rtx")  # they build an engine, which may take minutes


def try_backends(model: str | None, files: ModelFiles, *, has_gpu: bool) -> Iterator[Trial]:
    """Yield the result of each backend, that of `auto` first; those for a GPU only where there is one.

    Args:
        model: as of `Denoiser`.
        files: of that model.
    """
    onnx = str(files.onnx or DEFAULT_BUNDLED)
    yield try_auto(model)
    if has_gpu:
        yield from _try_tensorrt(None if files.engine is None else str(files.engine))
        yield _trial("onnxruntime", "cuda", probe("model", onnx, "onnxruntime", "cuda", timeout_s=_TIMEOUT_S))
        for backend in _BUILDERS:
            yield _trial(backend, "cuda", probe("model", onnx, backend, "cuda", timeout_s=_TIMEOUT_S))
    for backend in ("openvino", "onnxruntime"):
        yield _trial(backend, "cpu", probe("model", onnx, backend, "cpu", timeout_s=_TIMEOUT_S))


def try_auto(model: str | None) -> Trial:
    """Return the result of opening a model as `Denoiser` does by default."""
    return _trial("auto", "auto", probe("model", model or "", "auto", "auto", timeout_s=_TIMEOUT_S))


def _try_tensorrt(engine: str | None) -> Iterator[Trial]:
    if engine is not None:
        yield _trial("tensorrt", "cuda", probe("model", engine, "tensorrt", "cuda", timeout_s=_TIMEOUT_S))
        return
    for flavour in FLAVOURS:
        found = probe("tensorrt", flavour)
        if "reason" in found:
            yield Trial(flavour, "cuda", _outcome(found["reason"]), found["reason"])
        else:
            command = "n2b-export camera --fp16"
            if flavour != "tensorrt":
                command += f" --target {flavour}"
            reason = f"{found['version']} with {found['binding']}; there is no engine yet: {command}"
            yield Trial(flavour, "cuda", "ready", reason)


def _trial(backend: str, device: str, found: dict[str, Any]) -> Trial:
    reason = found.get("reason")
    if reason is None:
        found["passed_over"] = tuple(found["passed_over"])
        asked_library = found.pop("library")
        return Trial(backend, device, "works", library=asked_library, **found)
    if backend in _BUILDERS and reason.startswith("did not end"):
        reason += f": it builds an engine at the first start; let n2b-infer --backend {backend} end once"
    return Trial(backend, device, _outcome(reason), reason)


def _outcome(reason: str) -> Outcome:
    return "missing" if "not installed" in reason or "built without" in reason else "fails"
