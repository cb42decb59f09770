"""Contract of every exported graph: the names, dtypes and shapes of its one input and one output.

`image` → `denoised`, both N×H×W×3 RGB, both uint8 in 0..255 or float32 in [0, 1].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ..errors import ModelError
from ..model_info import METADATA_KEY, ModelInfo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from .protocol import InputShape, Precision

IMAGE, DENOISED = "image", "denoised"  # names of the graph's input and output; export writes them
_PRECISIONS = {"int8-cpu": "int8"}  # of forms whose name is not that of their precision


def check_graph(
    inputs: Mapping[str, tuple[str, Sequence]], outputs: Mapping[str, tuple[str, Sequence]], source: Path
) -> str:
    """Return the dtype of a graph, "uint8" or "float32".

    Args:
        inputs, outputs: dtype and shape of each tensor by its name.

    Raises:
        ModelError: the graph does not follow the contract.
    """
    if list(inputs) == [IMAGE] and list(outputs) == [DENOISED]:
        (dtype, shape), (result_dtype, result_shape) = inputs[IMAGE], outputs[DENOISED]
        images = len(shape) == len(result_shape) == 4 and shape[3] == result_shape[3] == 3
        if dtype == result_dtype and dtype in ("uint8", "float32") and images:
            return dtype
    actual = " → ".join(
        ", ".join(f"{name} {dtype} {'×'.join(map(str, shape))}" for name, (dtype, shape) in tensors.items())
        for tensors in (inputs, outputs)
    )
    raise ModelError(
        f"{source} is not a denoiser of n2b: it maps {actual}; expected is {IMAGE} → {DENOISED}, "
        "both N×H×W×3, both uint8 or float32; use n2b-export"
    )


def check_info(info: ModelInfo, shape: InputShape, io: str, source: Path) -> None:
    """Raise ModelError unless the description in a model agrees with its graph."""
    if info.io != io:
        raise ModelError(f"{source} takes {io}, but its description says {info.io}; export the model again")
    if (shape.height is None) != (shape.width is None):
        raise ModelError(f"{source} fixes one side of its tiles and not the other; export the model again")
    for side in shape.tile_hw or ():
        if side < 1 or side % info.size_multiple_px:
            raise ModelError(
                f"{source} takes tiles of {shape.height}×{shape.width} px, but its network needs "
                f"multiples of {info.size_multiple_px}; export the model again"
            )


def parse_info(text: str | None, model: Path) -> ModelInfo:
    """Return the description in an ONNX file's metadata.

    Raises:
        ModelError: there is none, or it is damaged.
    """
    if text is None:
        raise ModelError(
            f"{model} does not describe itself (no '{METADATA_KEY}' in its metadata): use n2b-export"
        )
    return ModelInfo.from_json(text, source=str(model))


def precision_of(info: ModelInfo) -> Precision:
    """Return the precision of a model in a library that runs its file unchanged."""
    return cast("Precision", _PRECISIONS.get(info.precision, info.precision))
