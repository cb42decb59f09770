"""Define the protocol of a backend, which each inference library implements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, get_args, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from ..model_info import ModelInfo

Precision = Literal["fp32", "bf16", "fp16", "int8", "int8, bf16"]  # of the computation
PrecisionChoice = Literal["auto", "fp32", "bf16", "int8"]  # what a user asks for
PRECISIONS: tuple[PrecisionChoice, ...] = get_args(PrecisionChoice)
AUTO_LOSS_DB = 0.05  # of PSNR, the most that "auto" loses by BF16
FAST_LOSS_DB = 0.3  # the most that the fastest form of a model may lose

# Default of an unmeasured working set: the full-width U-Net in ONNX Runtime on a CPU, rounded up.
ASSUMED_BYTES_PER_PX = 1500.0


@dataclass(frozen=True)
class InputShape:
    """The batch sizes that a model takes, N×H×W×3; None: any."""

    batch: int | None = None
    height: int | None = None
    width: int | None = None
    largest_batch: int | None = None  # maximum where `batch` is None

    @property
    def tile_hw(self) -> tuple[int, int] | None:
        """The fixed tile size (height, width) in px; None: any."""
        return None if self.height is None or self.width is None else (self.height, self.width)


class Backend(Protocol):
    """A loaded model, ready to run. Not safe to share between threads."""

    name: str  # "onnxruntime", "openvino", "tensorrt", "tensorrt-rtx", …
    device: str  # "cpu", "cuda:0"
    model: Path
    info: ModelInfo
    shape: InputShape
    precision: Precision  # "int8, bf16": layers that are not INT8 run in BF16
    passed_over: tuple[str, ...]  # alternatives that `auto` rejected: "onnxruntime: 0.61× as fast here"

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Denoise a batch of tiles.

        Args:
            batch: C-contiguous N×H×W×3 RGB of dtype `info.io`, of a size that `shape` allows, H and W
                multiples of `info.size_multiple_px`.

        Returns:
            The result, of the same shape and dtype; valid until the next `run` or `close`.

        Raises:
            OutOfMemory: a smaller batch may fit.
            EnvironmentFault: the device failed.
        """
        ...

    def measure_bytes_per_px(self) -> float:
        """Return the working set in bytes per pixel of a batch, measured by a trial run where possible."""
        ...

    def close(self) -> None:
        """Free the memory. Call it once, and no `run` after it."""
        ...


@runtime_checkable
class OverlappedBackend(Backend, Protocol):
    """A backend on a GPU that copies one batch while it computes another.

    Each slot has memory for a batch and its result. The caller fills `buffer(slot, …)`, calls `start(slot)`,
    does the same with the next slot, and then calls `finish(slot)`, in the order of the starts.
    """

    slots: int  # number of batches that may be in flight

    def buffer(self, slot: int, shape: tuple[int, ...], /) -> np.ndarray:
        """Return page-locked memory of N×H×W×3 `info.io`, for the caller to fill.

        Valid until the next `buffer` of that slot with another shape. The slot must not be in flight.

        Raises:
            OutOfMemory: a smaller batch may fit.
        """
        ...

    def start(self, slot: int, /) -> None:
        """Start to copy a slot's batch in, denoise it and copy the result back; return at once."""
        ...

    def finish(self, slot: int, /) -> np.ndarray:
        """Wait for a slot's result, N×H×W×3 `info.io`, in page-locked memory.

        Valid until the slot is started again or gets a buffer of another shape.
        """
        ...
