"""Run graphs with ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..runtime.errors import ModelError, shorten
from ..runtime.system.packages import require

if TYPE_CHECKING:
    import onnx
    from onnxruntime import InferenceSession


def open_session(model: str | Path | bytes, source: str) -> InferenceSession:
    """Open an ONNX Runtime session on the CPU that reports errors only.

    Args:
        model: a file, or its bytes.
        source: its name in error messages.

    Raises:
        ModelError: ONNX Runtime cannot run it.
        MissingPackageError: ONNX Runtime is not installed.
    """
    onnxruntime = require("onnxruntime")  # no extra: "export" would install it over onnxruntime-gpu
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors come as exceptions
    data = model if isinstance(model, bytes) else str(model)
    try:
        return onnxruntime.InferenceSession(
            data, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except Exception as error:  # one class for each of its status codes
        raise ModelError(f"ONNX Runtime cannot run {source}: {shorten(error)}") from error


def with_outputs(model: onnx.ModelProto, tensors: Sequence[str]) -> bytes:
    """Return a graph with these of its tensors as its outputs, as bytes for `open_session`."""
    import onnx

    exposing = onnx.ModelProto()
    exposing.CopyFrom(model)
    del exposing.graph.output[:]
    exposing.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors)
    return exposing.SerializeToString()


def run_session(session: InferenceSession, batch: np.ndarray) -> np.ndarray:
    """Return the one output of a session with one input."""
    name = session.get_inputs()[0].name
    return run_outputs(session, {name: batch}, name)[0]


def run_all(session: InferenceSession, name: str, batch: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the input and every output of a session with their names."""
    yield name, batch
    outputs = run_outputs(session, {name: batch}, name)
    yield from zip((output.name for output in session.get_outputs()), outputs, strict=True)


def run_outputs(session: InferenceSession, feeds: dict[str, np.ndarray], source: str) -> list[np.ndarray]:
    """Return all outputs of a session.

    Raises:
        ModelError: it failed; the message names `source`.
    """
    try:
        return [np.asarray(result) for result in session.run(None, feeds)]
    except Exception as error:  # one class for each of its status codes
        raise ModelError(f"ONNX Runtime failed at '{source}': {shorten(error)}") from error
