"""Export a network from torch to a bare FP32 graph: float32 `input` N×3×H×W → `output`.

Bare graphs are fully convolutional: N, H and W are written on their input and output only, so one graph
serves every tile and batch size (see io_contract.py, which adds the edges).
"""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import onnx
from onnx import helper

from ...runtime.errors import EnvironmentFault
from ...runtime.system.packages import check_installed
from .file import check
from .opset import DEFAULT_OPSET, set_opset

if TYPE_CHECKING:
    from torch import nn

NETWORK_INPUT, NETWORK_OUTPUT = "input", "output"  # tensors of a bare graph


def network_to_onnx(network: nn.Module, *, size_multiple_px: int) -> onnx.ModelProto:
    """Return a fully convolutional network as a graph of the default opset, its nodes named after its layers.

    Args:
        network: float32 N×3×H×W → the same, in evaluation mode, on the CPU.
        size_multiple_px: multiple of the sizes that the network takes without padding.

    Raises:
        EnvironmentFault: this torch cannot export the network.
        MissingPackageError: onnxscript, which torch's exporter needs, is not installed.
    """
    import torch

    check_installed("onnxscript", extra="export")
    example = torch.zeros(1, 3, 2 * size_multiple_px, 3 * size_multiple_px)
    try:
        with _silence():
            program = torch.onnx.export(
                network,
                (example,),
                input_names=[NETWORK_INPUT],
                output_names=[NETWORK_OUTPUT],
                opset_version=DEFAULT_OPSET,
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # the exporter wraps whatever went wrong in classes of its own
        raise EnvironmentFault(f"torch {torch.__version__} cannot export this network: {error}") from error
    assert program is not None
    return tidy_graph(program.model_proto)


def tidy_graph(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a bare graph with the layers' names and without leftovers of the exporter.

    Raises:
        EnvironmentFault: the graph has fixed sizes, and so would serve one tile size only.
    """
    initializers = {tensor.name: tensor for tensor in model.graph.initializer}
    constants = [node for node in model.graph.node if node.op_type == "Constant"]
    initializers |= {node.output[0]: node.attribute[0].t for node in constants}
    graph = onnx.GraphProto(name="n2b")
    names = _Names()
    for old in model.graph.node:
        if old.op_type == "Constant":
            continue
        if old.op_type == "Resize" and len(old.input) > 3 and old.input[3]:
            raise EnvironmentFault(
                f"node {old.name} has its size baked in; this torch's export is not supported"
            )
        node = graph.node.add(op_type=old.op_type, name=names.of_node(old))
        node.attribute.extend(a for a in old.attribute if not _is_default(old.op_type, a))
        for position, name in enumerate(old.input):
            if name in initializers and name not in names.tensors:
                tensor = graph.initializer.add()
                tensor.CopyFrom(initializers[name])
                tensor.name = names.of_initializer(name, node.name, position)
                del tensor.metadata_props[:]
            node.input.append(names.tensors.get(name, name))
        node.output.extend(names.of_output(name, node.name, i) for i, name in enumerate(old.output))
    for value, target in ((model.graph.input[0], graph.input), (model.graph.output[0], graph.output)):
        channels = value.type.tensor_type.shape.dim[1].dim_value
        target.append(bare_value(value.name, onnx.TensorProto.FLOAT, channels))
    opset = helper.make_opsetid("", DEFAULT_OPSET)
    tidy = helper.make_model(graph, opset_imports=[opset], producer_name="n2b")
    tidy = set_opset(tidy, DEFAULT_OPSET)
    check(tidy, "the exported graph")
    return tidy


def bare_value(name: str, element_type: int, channels: int) -> onnx.ValueInfoProto:
    """Return the type of a bare graph's input or output: N×C×H×W with N, H and W open."""
    return helper.make_tensor_value_info(name, element_type, ["batch", channels, "height", "width"])


class _Names:
    """New names, assigned in graph order.

    A node with weights is named after its layer ("down.0"), every other node after the layer that feeds
    it ("down.0.max_pool"); a node's output has the node's name.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, str] = {}  # old name → new name
        self._layer_of: dict[str, str] = {}  # old name of a tensor → the layer that made it
        self._used: Counter[str] = Counter()

    def of_node(self, node: onnx.NodeProto) -> str:
        weights = [name for name in node.input if name.endswith(".weight")]
        layer = (
            weights[0].removesuffix(".weight")
            if weights
            else self._layer_of.get(node.input[0], NETWORK_INPUT)
        )
        for output in node.output:
            self._layer_of[output] = layer
        return self._unique(layer if weights else f"{layer}.{_snake_case(node.op_type)}")

    def of_initializer(self, name: str, node: str, position: int) -> str:
        is_parameter = name.endswith((".weight", ".bias"))
        self.tensors[name] = name if is_parameter else self._unique(f"{node}.constant_{position}")
        return self.tensors[name]

    def of_output(self, name: str, node: str, index: int) -> str:
        self.tensors[name] = name if name == NETWORK_OUTPUT else f"{node}:{index}" if index else node
        return self.tensors[name]

    def _unique(self, name: str) -> str:
        self._used[name] += 1
        return name if self._used[name] == 1 else f"{name}_{self._used[name]}"


def _snake_case(operator: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in operator).lstrip("_")


def _is_default(operator: str, attribute: onnx.AttributeProto) -> bool:
    default = onnx.defs.get_schema(operator, DEFAULT_OPSET).attributes[attribute.name].default_value
    return default.type == attribute.type and (
        helper.get_attribute_value(default) == helper.get_attribute_value(attribute)
    )


@contextmanager
def _silence() -> Iterator[None]:
    """Hide the exporter's warnings, which are for developers; errors are still raised."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
