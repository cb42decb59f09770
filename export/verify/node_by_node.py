"""Run a graph with ONNX Runtime on the CPU, one node at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ...calibration.session import open_session, run_outputs


def run_node_by_node(
    model: onnx.ModelProto, feeds: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
    """Run a graph one node at a time, with every result in its declared type.

    On most CPUs a session over a whole FP16 graph computes in FP32 throughout, which hides rounding and
    overflow. Run node by node, an activation beyond 65504 is infinite, as on a GPU.

    Yields:
        The name and the (first) result of each node, in the order of the graph; the last one is the
        graph's output.

    Raises:
        ModelError: ONNX Runtime cannot run a node.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    tensors = dict(feeds)
    uses = Counter(name for node in model.graph.node for name in set(node.input))
    for node in model.graph.node:
        results = _run_node(model, node, constants, tensors)
        tensors.update(results)
        yield node.name, results[node.output[0]]
        for name in set(node.input):
            uses[name] -= 1
            if not uses[name]:
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
    return dict(zip(node.output, run_outputs(session, feeds, node.name), strict=True))


def _element_type(array: np.ndarray) -> int:
    return numpy_helper.from_array(array[:0]).data_type
