"""Open one ONNX file of a model by one library, in the precision that was asked for."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from ..errors import ModelError
from ..model_files import ModelFiles
from ..system.files import sha256_of_file
from .protocol import FAST_LOSS_DB, Backend, PrecisionChoice

CPU_LIBRARIES = {"onnxruntime": "cpu", "openvino": "openvino"}  # and the extra that brings each


def int8_command(model: Path) -> str:
    """Return the command that exports a model with an INT8 form next to it."""
    return f"n2b-export {shlex.quote(str(model))} --int8 --dynamic"


@dataclass(frozen=True)
class OnnxRequest:
    """A request to open an ONNX file, the arguments of `open_backend`; `files.onnx` is not None."""

    files: ModelFiles
    device: str = "auto"
    strict: bool = False
    max_memory_mb: float | None = None
    precision: PrecisionChoice = "auto"
    fast: bool = False

    def form(self) -> Path:
        """Return the file to open: the one that is named, or its INT8 form.

        Raises:
            ModelError: INT8 is asked for, and there is no INT8 form.
        """
        assert self.files.onnx is not None
        if self.precision != "int8":
            return self.files.onnx
        if self.files.int8_for_cpu is None:
            raise ModelError(
                f"{self.files.onnx} has no INT8 form next to it; {int8_command(self.files.onnx)} makes one"
            )
        return self.files.int8_for_cpu


def open_onnx(path: Path, library: str, request: OnnxRequest) -> Backend:
    """Open a file by a library.

    Raises:
        ModelError: the file is damaged, or in another precision than was asked for.
        MissingPackageError: the library is not installed.
        DeviceError: the device is missing, or does not compute in that precision.
    """
    if library == "openvino":
        from .openvino.backend import OpenVinoBackend

        opened: Backend = OpenVinoBackend(path, device=request.device, precision=request.precision)
    else:
        from .onnxruntime.backend import OnnxRuntimeBackend

        opened = OnnxRuntimeBackend(
            path,
            device=request.device,
            strict=request.strict,
            name=library,
            max_memory_mb=request.max_memory_mb,
            precision=request.precision,
        )
    if path != request.files.onnx:
        _check_form_of(opened, request.files.onnx)
    return check_precision(opened, request.precision)


def _check_form_of(opened: Backend, model: Path | None) -> None:
    if model is not None and sha256_of_file(model) not in opened.info.sources.values():
        form = opened.model
        opened.close()
        raise ModelError(
            f"{form} was made from another model than {model}; {int8_command(model)} makes both anew"
        )


def check_precision(opened: Backend, precision: PrecisionChoice) -> Backend:
    """Return the backend if it computes in that precision, else close it.

    Raises:
        ModelError: it does not.
    """
    if precision == "auto" or precision in opened.precision.split(", "):
        return opened
    actual, model = opened.precision, opened.model
    opened.close()
    raise ModelError(
        f"{model} computes in {actual}, not in {precision}; name the model's other file, or leave "
        "--precision out"
    )


def why_not_fast(opened: Backend) -> str | None:
    """Return why an INT8 form is not what --fast may take: what it loses, measured by its export."""
    loss_db = opened.info.calibration.get("loss_db")
    if not isinstance(loss_db, (int, float)):
        return "int8: its loss is not known"
    return None if loss_db <= FAST_LOSS_DB else f"int8: loses {loss_db:.2f} dB"
