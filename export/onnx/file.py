"""Read and validate ONNX files of n2b, and write their description into them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx

from ...runtime.errors import ModelError, shorten
from ...runtime.model_info import METADATA_KEY, ModelInfo
from .checks import describe_input, keeps_data_elsewhere, refuse_broken_weights, refuse_unknown_features

LARGEST_BYTES = 2**31 - 1  # of a protobuf message
LARGEST_DESCRIPTION = 16_000_000  # characters; n2b writes some thousands


def read_onnx(path: str | Path) -> tuple[onnx.ModelProto, ModelInfo]:
    """Read and check a single-file ONNX model that n2b wrote; return it and its description.

    Raises:
        ModelError: the file is missing, damaged, not ONNX, not a denoiser of n2b, of an unsupported
            opset, or keeps its weights in another file.
    """
    model = _parse(Path(path))
    if keeps_data_elsewhere(model):  # before anything follows the path
        raise ModelError(
            f"{path} keeps its weights in another file; n2b takes single files: "
            "export it again, or join the two with onnx.load and onnx.save"
        )
    info = read_description(model, str(path))
    refuse_unknown_features(model, str(path))
    check(model, str(path))
    refuse_broken_weights(model, str(path))
    return model, info


def check(model: onnx.ModelProto, source: str) -> None:
    """Check that a graph is valid ONNX: known operators, matching types and shapes.

    Raises:
        ModelError: it is not; `source` names it in the message.
    """
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # the checker raises various classes
        raise ModelError(f"{source} is not valid ONNX ({_first_line(error)}); export it again") from error


def write_description(model: onnx.ModelProto, info: ModelInfo) -> None:
    """Write `info` into the model's metadata, from which `read_onnx` and n2b.runtime read it."""
    del model.metadata_props[:]
    model.metadata_props.add(key=METADATA_KEY, value=info.to_json())


def read_description(model: onnx.ModelProto, source: str) -> ModelInfo:
    """Read the description from a model's metadata.

    Raises:
        ModelError: there is none, or it is damaged or larger than 16 MB; `source` names the file in the
            message.
    """
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            if len(entry.value) > LARGEST_DESCRIPTION:
                raise ModelError(f"{source}: its description is larger than 16 MB; export the model again")
            return ModelInfo.from_json(entry.value, source=source)
    raise ModelError(
        f"{source} is not a denoiser of n2b (its metadata has no '{METADATA_KEY}', "
        f"and {describe_input(model)}); name a file that n2b-export wrote"
    )


def is_dynamic(model: onnx.ModelProto) -> bool:
    """Return True if a size of the model's input is open."""
    return not all(dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim)


def to_bytes(model: onnx.ModelProto) -> bytes:
    """Return the file's bytes, which are the same for each export of the same model."""
    return model.SerializeToString(deterministic=True)


def _parse(path: Path) -> onnx.ModelProto:
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise ModelError(f"{path} is not a file; name an .onnx file")
        if size > LARGEST_BYTES:
            raise ModelError(f"{path} is larger than an ONNX file can be (2 GiB)")
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ModelError(f"{path} does not exist; name an .onnx file that n2b-export wrote") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # each implementation of protobuf has its own class
        raise ModelError(f"{path} is not an ONNX file, or is damaged; copy or export it again") from error
    if not all(isinstance(text, str) for text in _texts(model)):  # bytes if not UTF-8
        raise ModelError(f"{path} is damaged (a name in it is not text); copy or export it again")
    if not model.graph.node:
        raise ModelError(f"{path} is not an ONNX file, or is damaged (no graph); copy or export it again")
    return model


def _texts(model: onnx.ModelProto) -> Iterator[str]:
    for node in model.graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
    for named in (*model.graph.initializer, *model.graph.input, *model.graph.output):
        yield named.name
    for entry in model.metadata_props:
        yield from (entry.key, entry.value)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return shorten(lines[0]) if lines else type(error).__name__
