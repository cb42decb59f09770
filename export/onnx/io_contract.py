"""Add the input/output contract to a bare graph, and remove it.

    image, uint8 N×H×W×3 → Cast → Transpose → Mul 1/255 → (log →) (Cast FP16 →) network
        (→ Cast FP32) (→ exp) → Clip 0..1 → Mul 255 → Add ½ → Transpose → Cast → denoised, uint8 N×H×W×3
    image, float32 N×H×W×3 → Transpose → (log →) (Cast FP16 →) network
        (→ Cast FP32) (→ exp) → Clip 0..1 → Transpose → denoised, float32 N×H×W×3

A network of the value transform "log" takes and returns t = log(255·x + 1) / log 256:

    log: Relu → Mul 255 → Add 1 → Log → Div log 256
    exp: Clip 0..1 → Mul log 256 → Exp → Sub 1 → Mul 1/255

The uint8 tensors go to or from a Cast only, since TensorRT supports 8 bits nowhere else. The edges compute
in FP32 in every precision: in FP16 the factor 1/255 alone would be off by 1/2000. Only t itself is then
rounded to FP16, which at white is at most a third of a grey level. Both forms clamp the result to [0, 1], so
a saturated pixel is the same in both.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ...runtime.backends.graph_contract import DENOISED, IMAGE
from ...runtime.errors import ModelError, UserError, short_repr
from ...runtime.model_info import ModelInfo
from .checks import describe_input
from .file import check, read_description, write_description
from .from_torch import NETWORK_INPUT, NETWORK_OUTPUT, bare_value

LARGEST_BATCH_PX = 2**29  # of 3 channels; TensorRT's tensors have fewer than 2**31 values
PREFIX = "contract."  # of the names of the contract's nodes, tensors and constants

_ELEMENT_TYPES: dict[str, int] = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT}
_PRECISIONS: dict[int, str] = {TensorProto.FLOAT: "fp32", TensorProto.FLOAT16: "fp16"}
_CONSTANTS = {
    "per_level": 1 / 255, "levels": 255.0, "half": 0.5, "zero": 0.0, "one": 1.0, "log_256": math.log(256),
}  # fmt: skip


def add_contract(
    bare: onnx.ModelProto,
    info: ModelInfo,
    *,
    io: str,
    tile_px: int,
    batch: int,
    dynamic: bool,
    precision: str | None = None,
) -> tuple[onnx.ModelProto, ModelInfo]:
    """Return a model as the runtime takes it: the bare graph with its edges and its description.

    Args:
        bare: float32 or float16 `input` N×C×H×W → `output`.
        info: description of the network; io and precision are filled in.
        io: "uint8", or "float32" in [0, 1].
        dynamic: leave N, H and W open (`batch`, `height`, `width`).
        precision: for the description; None: that of the graph's floats.

    Raises:
        UserError: `tile_px` or `batch` is impossible for this network.
        ModelError: this version does not know the model's value transform.
    """
    check_sizes(info, tile_px=tile_px, batch=batch)
    element_type = bare.graph.input[0].type.tensor_type.elem_type
    channels = bare.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    before, after = _edges(io, info.value_transform, half=element_type == TensorProto.FLOAT16)

    model = onnx.ModelProto()
    model.CopyFrom(bare)
    graph = model.graph
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
    graph.node.extend([*before, *bare.graph.node, *after])
    used = {name for node in [*before, *after] for name in node.input}
    for name, value in _CONSTANTS.items():
        if PREFIX + name in used:
            graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), PREFIX + name))
    sizes = ["batch", "height", "width"] if dynamic else [batch, tile_px, tile_px]
    for name, values in ((IMAGE, graph.input), (DENOISED, graph.output)):
        values.append(helper.make_tensor_value_info(name, _ELEMENT_TYPES[io], [*sizes, channels]))

    info = dataclasses.replace(info, io=io, precision=precision or _PRECISIONS[element_type])
    write_description(model, info)
    check(model, "the finished graph")
    return model, info


def strip_contract(model: onnx.ModelProto, source: str) -> onnx.ModelProto:
    """Return the bare graph inside a model that `add_contract` made.

    Raises:
        ModelError: the edges are not those that this version of n2b writes for the model's description.
    """
    complaint = f"{source} lacks the input and output that n2b-export writes; export it again"
    io = _io_of(model)
    if io is None:
        raise ModelError(f"{source} is no denoiser of n2b: {describe_input(model)}; export it again")
    edge = [node for node in model.graph.node if node.name.startswith(PREFIX)]
    inside = [node for node in model.graph.node if not node.name.startswith(PREFIX)]
    half = any(node.name == f"{PREFIX}input.to_fp16" for node in edge)
    before, after = _edges(io, read_description(model, source).value_transform, half=half)
    if not inside or edge != [*before, *after]:
        raise ModelError(complaint)
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    graph = bare.graph
    channels = graph.input[0].type.tensor_type.shape.dim[3].dim_value
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:], bare.metadata_props[:]
    graph.node.extend(inside)
    for tensor in [tensor for tensor in graph.initializer if tensor.name.startswith(PREFIX)]:
        graph.initializer.remove(tensor)
    element_type = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    graph.input.append(bare_value(NETWORK_INPUT, element_type, channels))
    graph.output.append(bare_value(NETWORK_OUTPUT, element_type, channels))
    check(bare, source)
    return bare


def check_sizes(info: ModelInfo, *, tile_px: int, batch: int) -> None:
    """Raise UserError unless the network takes tiles and batches of this size."""
    multiple = info.size_multiple_px
    if tile_px < multiple or tile_px % multiple:
        raise UserError(f"tiles of {tile_px} px do not fit this network; take a multiple of {multiple} px")
    if batch < 1:
        raise UserError(f"a batch of {batch} holds no image; take 1 or more")
    if batch * tile_px**2 > LARGEST_BATCH_PX:
        raise UserError(f"{batch} × {tile_px}×{tile_px} px are more than a tensor holds; take less")


def _edges(io: str, transform: str, *, half: bool) -> tuple[list[onnx.NodeProto], list[onnx.NodeProto]]:
    """Return the nodes before and after the network; `half`: the network computes in FP16."""
    if transform not in _TRANSFORMS:
        raise ModelError(f"the value transform {short_repr(transform)} is not known to this n2b; upgrade it")
    before, after = [_TO_NCHW], [_CLAMP, _TO_NHWC]
    if io == "uint8":
        before = [_cast("to_float", TensorProto.FLOAT), _TO_NCHW, _SCALE_DOWN]
        after = [_CLAMP, _SCALE_UP, _ROUND, _TO_NHWC, _cast("to_uint8", TensorProto.UINT8)]
    to_network, from_network = _TRANSFORMS[transform]
    before, after = [*before, *to_network], [*from_network, *after]
    if half:
        before = [*before, _cast("to_fp16", TensorProto.FLOAT16)]
        after = [_cast("to_fp32", TensorProto.FLOAT), *after]
    return _chain(before, "input", IMAGE, NETWORK_INPUT), _chain(after, "output", NETWORK_OUTPUT, DENOISED)


@dataclass(frozen=True)
class _Step:
    operator: str
    name: str
    constants: tuple[str, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)


def _cast(name: str, element_type: int) -> _Step:
    return _Step("Cast", name, attributes={"to": element_type})


_TO_NCHW = _Step("Transpose", "to_nchw", attributes={"perm": (0, 3, 1, 2)})
_TO_NHWC = _Step("Transpose", "to_nhwc", attributes={"perm": (0, 2, 3, 1)})
_SCALE_DOWN = _Step("Mul", "scale", ("per_level",))
_SCALE_UP = _Step("Mul", "scale", ("levels",))
_ROUND = _Step("Add", "round", ("half",))
_CLAMP = _Step("Clip", "clamp", ("zero", "one"))
_TO_LOG = [
    _Step("Relu", "log.floor"),  # a float32 image may have negative values
    _Step("Mul", "log.scale", ("levels",)),
    _Step("Add", "log.shift", ("one",)),
    _Step("Log", "log"),
    _Step("Div", "log.normalise", ("log_256",)),  # Div: 1 stays exactly 1
]
_FROM_LOG = [
    _Step("Clip", "exp.clamp", ("zero", "one")),
    _Step("Mul", "exp.normalise", ("log_256",)),
    _Step("Exp", "exp"),
    _Step("Sub", "exp.shift", ("one",)),
    _Step("Mul", "exp.scale", ("per_level",)),
]
_TRANSFORMS: dict[str, tuple[list[_Step], list[_Step]]] = {"identity": ([], []), "log": (_TO_LOG, _FROM_LOG)}


def _chain(steps: list[_Step], side: str, first: str, last: str) -> list[onnx.NodeProto]:
    nodes, tensor = [], first
    for step in steps:
        name = f"{PREFIX}{side}.{step.name}"
        inputs = [tensor, *(PREFIX + constant for constant in step.constants)]
        tensor = last if step is steps[-1] else name
        nodes.append(helper.make_node(step.operator, inputs, [tensor], name=name, **step.attributes))
    return nodes


def _io_of(model: onnx.ModelProto) -> str | None:
    """Return the form of the contract, "uint8" or "float32"; None if the graph has neither."""
    values = [*model.graph.input, *model.graph.output]
    types = [value.type.tensor_type for value in values]
    dims = [type_.shape.dim for type_ in types]
    if [value.name for value in values] != [IMAGE, DENOISED]:
        return None
    if any(len(dim) != 4 or dim[3].dim_value < 1 for dim in dims):
        return None
    return {t: name for name, t in _ELEMENT_TYPES.items()}.get(types[0].elem_type)
