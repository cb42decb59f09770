"""Graphs run with ONNX Runtime on the CPU, whole or one node after another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ..runtime.errors import MissingPackageError, ModelError, cut

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def open_session(model: str | Path | bytes, source: str) -> InferenceSession:
    """An ONNX Runtime session on the CPU that reports errors only.

    Args:
        model: a file, or its bytes.
        source: what to call it in an error message.

    Raises:
        ModelError: ONNX Runtime cannot run it.
        MissingPackageError: ONNX Runtime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingPackageError("onnxruntime", extra="export", reason=_reason(error)) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors come as exceptions
    data = model if isinstance(model, bytes) else str(model)
    try:
        return onnxruntime.InferenceSession(
            data, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except Exception as error:  # one class for each of its status codes
        raise ModelError(f"ONNX Runtime cannot run {source}: {cut(error)}") from error


def run_node_by_node(
    model: onnx.ModelProto, feeds: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
    """Run a graph one node at a time, every result in the type that the graph gives it.

    A session over a whole FP16 graph computes in FP32 from its first node to its last on most CPUs, which
    hides both rounding and overflow. Run like this, an activation beyond 65504 is infinite, as on a GPU.

    Args:
        model: a graph; the sizes on its input do not matter.
        feeds: its inputs by name.

    Yields:
        The name and the (first) result of each node, in the order of the graph; the last one is the
        graph's output.

    Raises:
        ModelError: ONNX Runtime cannot run a node.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    tensors = dict(feeds)
    waiting = Counter(name for node in model.graph.node for name in set(node.input))
    for node in model.graph.node:
        results = _run_node(model, node, constants, tensors)
        tensors.update(results)
        yield node.name, results[node.output[0]]
        for name in set(node.input):
            waiting[name] -= 1
            if not waiting[name]:
                tensors.pop(name, None)


def _run_node(
    model: onnx.ModelProto,
    node: onnx.NodeProto,
    constants: Mapping[str, onnx.TensorProto],
    tensors: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    feeds = {name: tensors[name] for name in node.input if name in tensors}
    graph = helper.make_graph(
        [node],
        node.name,
        [helper.make_tensor_value_info(name, _element_type(x), x.shape) for name, x in feeds.items()],
        [onnx.ValueInfoProto(name=name) for name in node.output],
        [constants[name] for name in set(node.input) if name in constants],
    )
    single = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    session = open_session(single.SerializeToString(), f"node '{node.name}' ({node.op_type})")
    return dict(zip(node.output, _run(session, feeds, node.name), strict=True))


def run_session(session: InferenceSession, batch: np.ndarray) -> np.ndarray:
    """The one output of a session with one input."""
    name = session.get_inputs()[0].name
    return _run(session, {name: batch}, name)[0]


def _run(session: InferenceSession, feeds: dict[str, np.ndarray], source: str) -> list[np.ndarray]:
    try:
        return [np.asarray(result) for result in session.run(None, feeds)]
    except Exception as error:  # one class for each of its status codes
        raise ModelError(f"ONNX Runtime failed at '{source}': {cut(error)}") from error


def _element_type(array: np.ndarray) -> int:
    return numpy_helper.from_array(array[:0]).data_type


def _reason(error: ImportError) -> str | None:
    return None if isinstance(error, ModuleNotFoundError) and error.name == "onnxruntime" else str(error)
