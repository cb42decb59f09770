"""Read and convert the ONNX operator set of a graph."""

from __future__ import annotations

import onnx
from onnx import helper, version_converter

from ...runtime.errors import EnvironmentFault, UserError, shorten

OPSETS = range(17, 21)  # all supported by every TensorRT since 10.0
DEFAULT_OPSET = 18


def check_opset(opset: int) -> None:
    """Raise UserError unless n2b writes graphs of this opset."""
    if opset not in OPSETS:
        raise UserError(f"opset {opset} is not supported; choose one of {OPSETS.start} to {OPSETS.stop - 1}")


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of a graph's standard operators; 0 if it has none."""
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)


def set_opset(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """Convert a graph to an opset, in the oldest file format that supports it.

    Raises:
        UserError: the opset is outside of OPSETS.
        EnvironmentFault: the installed onnx cannot convert the graph.
    """
    check_opset(opset)
    if opset_of(model) == opset:
        converted = onnx.ModelProto()
        converted.CopyFrom(model)
    else:
        try:
            converted = version_converter.convert_version(model, opset)
        except Exception as error:  # the converter raises various classes
            raise EnvironmentFault(
                f"onnx {onnx.__version__} cannot convert to opset {opset}: {shorten(error)}"
            ) from error
    # old readers, such as TensorRT's parser, refuse newer file formats
    converted.ir_version = helper.find_min_ir_version_for([helper.make_opsetid("", opset)])
    return converted
