"""What runs a model: the protocol that each inference library is put behind, and the choice between them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ..errors import DeviceError, EnvironmentFault, ModelError, StaleEngineError, UserError
from ..model_files import ModelFiles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from ..artifact import ModelInfo

INPUT, OUTPUT = "image", "denoised"  # the names of a graph's one input and one output
BACKENDS = ("auto", "onnxruntime", "tensorrt")
REBUILD = ("auto", "never")  # whether an engine that does not fit is built again

# A working set that was not measured: that of the full-width U-Net in ONNX Runtime on a CPU, rounded up.
ASSUMED_BYTES_PER_PX = 1500.0


@dataclass(frozen=True)
class InputShape:
    """The batches that a model takes, N×H×W×3; None: any size."""

    batch: int | None = None
    height: int | None = None
    width: int | None = None
    largest_batch: int | None = None  # where `batch` is None: the most of them

    @property
    def tile_hw(self) -> tuple[int, int] | None:
        """The one tile size that the model takes, or None when any will do."""
        return None if self.height is None or self.width is None else (self.height, self.width)


class Backend(Protocol):
    """A model that is loaded and ready to run. Not safe to share between threads."""

    name: str  # "onnxruntime", "tensorrt", "tensorrt-rtx"
    device: str  # "cpu", "cuda:0"
    model: Path
    info: ModelInfo
    shape: InputShape

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Denoise a batch of tiles.

        Args:
            batch: C-contiguous N×H×W×3 RGB of dtype `info.io`, of a size that `shape` allows, H and W
                multiples of `info.size_multiple_px`.

        Returns:
            The result, of the same shape and dtype; valid until the next `run` or `close`.

        Raises:
            EnvironmentFault: the device failed or ran out of memory.
        """
        ...

    def measure_bytes_per_px(self) -> float:
        """Memory of the working set for one pixel of a batch, from a trial run where it can be measured."""
        ...

    def close(self) -> None:
        """Free the memory; to be called once, no `run` after it."""
        ...


@runtime_checkable
class OverlappedBackend(Backend, Protocol):
    """A backend with several batches on their way at once, each in a slot of its own.

    Slots are finished in the order in which they were started.
    """

    slots: int  # how many

    def buffer(self, slot: int, shape: tuple[int, int, int, int], /) -> np.ndarray:
        """Page-locked memory of this shape, N×H×W×3, and the dtype `info.io`, to be filled by the caller.

        Valid until the slot's next `buffer`; a slot that runs has to be finished first.

        Raises:
            OutOfMemory: there is not as much on the host or on the device.
        """
        ...

    def start(self, slot: int, /) -> None:
        """Begin to copy what was filled in, to run it and to copy the result back; returns at once.

        Raises:
            OutOfMemory, EnvironmentFault: as of `run`.
        """
        ...

    def finish(self, slot: int, /) -> np.ndarray:
        """Wait for the result, which lies in page-locked memory until the slot is started again.

        Raises:
            EnvironmentFault: the device failed.
        """
        ...


def open_backend(
    files: ModelFiles,
    *,
    backend: str = "auto",
    device: str = "auto",
    strict: bool = False,
    rebuild: str = "never",
) -> Backend:
    """Load a model with the library that fits it.

    `auto` takes the engine where there is one that runs here, else the ONNX file. What cannot be had as
    asked is replaced by the next best with a Python warning that says so, or is an error when `strict`.

    Args:
        files: the forms of the model.
        backend: one of BACKENDS.
        device: "auto", "cpu", "cuda" or "cuda:1".
        strict: refuse whatever is not exactly what was asked for.
        rebuild: "auto": an engine that was built for something else than what is here is built again first,
            from the ONNX file beside it, by n2b-export, which can take minutes; or "never".

    Raises:
        UserError: no such backend or device.
        ModelError: the model is not there in the form that the backend needs, or is damaged.
        MissingPackageError: the library is not installed.
        DeviceError: the device is missing.
    """
    if backend not in BACKENDS:
        raise UserError(f"there is no backend '{backend}'; there are {', '.join(BACKENDS)}")
    if rebuild not in REBUILD:
        raise UserError(f"an engine is rebuilt {' or '.join(REBUILD)}, not '{rebuild}'")
    parse_device(device)
    if backend == "auto" and files.engine and files.onnx and device != "cpu":
        try:
            return _open_engine(files.engine, device, rebuild)
        except (EnvironmentFault, ModelError) as error:
            if strict:
                raise
            warnings.warn(f"using {files.onnx}, since {error}", RuntimeWarning, stacklevel=2)
            return _open_onnx(files.onnx, device, strict)
    if backend == "tensorrt" or (backend == "auto" and not files.onnx):
        if files.engine is None:
            raise ModelError(f"tensorrt needs an engine: n2b-export {files.onnx} builds one")
        return _open_engine(files.engine, device, rebuild)
    if files.onnx is None:
        raise ModelError(f"onnxruntime needs an .onnx file, and {files.engine} is an engine")
    return _open_onnx(files.onnx, device, strict)


def parse_device(device: str) -> tuple[str, int]:
    """The kind of a device, "auto", "cpu" or "cuda", and its index.

    Raises:
        UserError: it is none of them.
    """
    kind, colon, index = device.partition(":")
    if kind in ("auto", "cpu") and not colon:
        return kind, 0
    if kind == "cuda" and (not colon or index.isdecimal()):
        return kind, int(index or 0)
    raise UserError(f"there is no device '{device}'; there are auto, cpu, cuda and cuda:N")


def check_graph(
    inputs: Mapping[str, tuple[str, Sequence]], outputs: Mapping[str, tuple[str, Sequence]], source: Path
) -> str:
    """The io, "uint8" or "float32", of a graph that takes and gives what n2b-export makes.

    Args:
        inputs, outputs: dtype and shape of each tensor by its name.
        source: the model's file, for the error message.

    Raises:
        ModelError: it is another kind of graph.
    """
    if list(inputs) == [INPUT] and list(outputs) == [OUTPUT]:
        (dtype, shape), (result_dtype, result_shape) = inputs[INPUT], outputs[OUTPUT]
        images = len(shape) == len(result_shape) == 4 and shape[3] == result_shape[3] == 3
        if dtype == result_dtype and dtype in ("uint8", "float32") and images:
            return dtype
    found = " → ".join(
        ", ".join(f"{name} {dtype} {'×'.join(map(str, shape))}" for name, (dtype, shape) in tensors.items())
        for tensors in (inputs, outputs)
    )
    raise ModelError(
        f"{source} is no denoiser of n2b: it maps {found}; expected is {INPUT} → {OUTPUT}, both N×H×W×3, "
        "both uint8 or float32; use n2b-export"
    )


def check_info(info: ModelInfo, shape: InputShape, io: str, source: Path) -> None:
    """Raise ModelError unless a description agrees with the graph it came with."""
    if info.io != io:
        raise ModelError(f"{source} takes {io}, but its description says {info.io}; export the model again")
    if (shape.height is None) != (shape.width is None):
        raise ModelError(f"{source} fixes one side of its tiles and not the other; export the model again")
    for side in shape.tile_hw or ():
        if side < 1 or side % info.size_multiple_px:
            raise ModelError(
                f"{source} takes tiles of {shape.height}×{shape.width} px, but its network needs "
                f"multiples of {info.size_multiple_px}; export the model again"
            )


def _open_onnx(path: Path, device: str, strict: bool) -> Backend:
    from .onnxruntime import OnnxRuntimeBackend

    return OnnxRuntimeBackend(path, device=device, strict=strict)


def _open_engine(path: Path, device: str, rebuild: str) -> Backend:
    from .engine_rebuild import run_export
    from .tensorrt import TensorRTBackend

    kind, index = parse_device(device)
    if kind == "cpu":
        raise DeviceError(f"{path} runs on a GPU only; for the CPU name the .onnx file")
    try:
        return TensorRTBackend(path, device_index=index)
    except StaleEngineError as error:
        if rebuild == "never" or error.arguments is None:
            raise
        run_export(path, error.arguments)
        warnings.warn(f"{path} was rebuilt, since {error.reason}", RuntimeWarning, stacklevel=3)
    return TensorRTBackend(path, device_index=index)
