"""What a backend is: the protocol that each inference library is put behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from ..model_info import ModelInfo

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

    name: str  # "onnxruntime", "openvino", "tensorrt", "tensorrt-rtx"
    device: str  # "cpu", "cuda:0"
    model: Path
    info: ModelInfo
    shape: InputShape
    precision: str  # what is computed in: "fp32", "bf16", "fp16", "int8"; "int8, bf16": the rest in BF16
    passed_over: tuple[str, ...]  # what `auto` did not take: "onnxruntime: 0.61 times as fast here"

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Denoise a batch of tiles.

        Args:
            batch: C-contiguous N×H×W×3 RGB of dtype `info.io`, of a size that `shape` allows, H and W
                multiples of `info.size_multiple_px`.

        Returns:
            The result, of the same shape and dtype; valid until the next `run` or `close`.

        Raises:
            OutOfMemory: the memory does not suffice; a smaller batch may be run then.
            EnvironmentFault: the device failed.
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
    """A backend on a GPU that copies one batch while it computes another.

    Each slot has memory for a batch and its result. The caller fills `buffer(slot, …)`, calls `start(slot)`,
    does the same with the next slot, and then `finish(slot)`. Slots are finished in the order that they were
    started in.
    """

    slots: int  # how many batches may be under way

    def buffer(self, slot: int, shape: tuple[int, ...], /) -> np.ndarray:
        """Page-locked memory of N×H×W×3 `info.io`, for the caller to fill.

        Valid until the next `buffer` of that slot with another shape. The slot is not under way.

        Raises:
            OutOfMemory: the memory does not suffice; the slot may be asked for a smaller batch.
        """
        ...

    def start(self, slot: int, /) -> None:
        """Begin to copy a slot's batch in, to denoise it and to copy the result back; returns at once."""
        ...

    def finish(self, slot: int, /) -> np.ndarray:
        """Wait for a slot's result, N×H×W×3 `info.io`, in page-locked memory; valid until the slot is started
        again, or its buffer has another shape."""
        ...
