"""Send tiles to a model on a Triton Inference Server, several batches at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ModelError
from ...model_info import METADATA_KEY
from ..graph_contract import check_graph, check_info, parse_info, precision_of
from ..protocol import ASSUMED_BYTES_PER_PX, InputShape, Precision
from .client import Connection, Request
from .served import ServedModel

_DTYPES = {"UINT8": "uint8", "FP32": "float32"}
_IN_FLIGHT = 4  # batches: one is computed, others are on the way to the server and back


class TritonBackend:
    """A model on a Triton Inference Server, as `n2b-export --triton` put it there.

    The server's config of the model has its description. A batch is sent again until the deadline if the
    server is away, as while it is started again, or refuses it since its queue is full.

    Raises:
        ModelError: the server has no such model, or it is no denoiser of n2b.
        DeviceError: no server answers, or the model is not ready.
        MissingPackageError: tritonclient is not installed.
    """

    name = "triton"
    slots = _IN_FLIGHT

    def __init__(self, served: ServedModel) -> None:
        self.device = served.url
        self.model = Path(f"{served.name}:{served.version}" if served.version else served.name)
        self.passed_over: tuple[str, ...] = ()
        self._connection = Connection(served)
        try:
            metadata, config = self._connection.describe()
            inputs, outputs = (
                {
                    one.name: (_DTYPES.get(one.datatype, str(one.datatype)), _open_sides(one.shape))
                    for one in tensors
                }
                for tensors in (metadata.inputs, metadata.outputs)
            )
            source = str(served)
            io = check_graph(inputs, outputs, source)
            self.shape = _input_shape(next(iter(inputs.values()))[1], config)
            text = config.parameters[METADATA_KEY].string_value if METADATA_KEY in config.parameters else None
            self.info = parse_info(text, source)
            check_info(self.info, self.shape, io, source)
        except BaseException:
            self._connection.close()
            raise
        self.precision: Precision = precision_of(self.info)
        self._buffers: list[np.ndarray] = [np.empty(0, io)] * self.slots
        self._requests: list[Request | None] = [None] * self.slots

    def buffer(self, slot: int, shape: tuple[int, ...], /) -> np.ndarray:
        if self._buffers[slot].shape != shape:
            self._buffers[slot] = np.zeros(shape, self.info.io)
        return self._buffers[slot]

    def start(self, slot: int, /) -> None:
        self._requests[slot] = self._connection.send(self._buffers[slot])

    def finish(self, slot: int, /) -> np.ndarray:
        request, self._requests[slot] = self._requests[slot], None
        if request is None:
            raise ModelError(f"nothing was sent to {self.model}")
        return request.result()

    def run(self, batch: np.ndarray) -> np.ndarray:
        return self._connection.send(batch).result()

    def measure_bytes_per_px(self) -> float:
        """See Backend.measure_bytes_per_px; the server's memory, which cannot be measured from here."""
        return ASSUMED_BYTES_PER_PX

    def close(self) -> None:
        self._connection.close()


def _open_sides(shape: Sequence[int]) -> list[int | None]:
    return [side if side >= 0 else None for side in shape]


def _input_shape(sides: Sequence[int | None], config: Any) -> InputShape:
    batch, height, width, _ = sides
    if config.max_batch_size > 0:
        return InputShape(None, height, width, largest_batch=config.max_batch_size)
    return InputShape(batch, height, width)
