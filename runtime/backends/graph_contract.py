"""Contract of every exported graph: the names, dtypes and shapes of its one input and one output.

`image` → `denoised`, both N×H×W×3 RGB, both uint8 in 0..255 or float32 in [0, 1].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ..errors import ModelError
from ..images.scale import MAX_FLOAT
from ..model_info import MAX_SIDE_PX, METADATA_KEY, ModelInfo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from .protocol import InputShape, Precision

_MAX_BATCH = 1 << 16
IMAGE, DENOISED = "image", "denoised"  # names of the graph's input and output; export writes them
_PRECISIONS = {"int8-cpu": "int8"}  # of forms whose name is not that of their precision


def check_graph(
    inputs: Mapping[str, tuple[str, Sequence]],
    outputs: Mapping[str, tuple[str, Sequence]],
    source: Path | str,
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
            _check_same_size(shape, result_shape, source)
            return dtype
    actual = " → ".join(
        ", ".join(f"{name} {dtype} {_times(shape)}" for name, (dtype, shape) in tensors.items())
        for tensors in (inputs, outputs)
    )
    raise ModelError(
        f"{source} is not a denoiser of n2b: it maps {actual}; expected is {IMAGE} → {DENOISED}, "
        "both N×H×W×3, both uint8 or float32; use n2b-export"
    )


def _check_same_size(shape: Sequence, result_shape: Sequence, source: Path | str) -> None:
    """Raise ModelError if a graph declares a result of another size; open sides are negative or text."""
    for side, result_side in zip(shape, result_shape, strict=True):
        is_fixed = all(isinstance(one, int) and one >= 0 for one in (side, result_side))
        if is_fixed and side != result_side:
            raise _wrong_result(source, _times(shape), _times(result_shape))


def check_result(result: np.ndarray, shape: tuple[int, ...], dtype: str, source: Path | str) -> None:
    """Raise ModelError unless the result of a run has the shape and dtype of its batch."""
    if (result.shape, result.dtype) != (shape, dtype):
        returned = f"{_times(result.shape)} {result.dtype}"
        raise _wrong_result(source, f"{_times(shape)} {dtype}", returned)


def check_values(pixels: np.ndarray, source: Path | str) -> None:
    """Raise ModelError if pixels of a float32 result are not finite, or far outside [0, 1]."""
    if pixels.dtype.kind != "f":
        return
    lowest, highest = pixels.min(), pixels.max()  # NaN, if there is one
    if not (lowest >= -MAX_FLOAT and highest <= MAX_FLOAT):
        raise ModelError(
            f"{source} returns values from {lowest:g} to {highest:g}, where 0 to 1 is expected; "
            "export the model again, or use another"
        )


def _wrong_result(source: Path | str, batch: str, result: str) -> ModelError:
    return ModelError(
        f"{source} returns {result} for a batch of {batch}, and a denoiser keeps the size; "
        "export the model again, or use another"
    )


def _times(shape: Sequence) -> str:
    return "×".join(map(str, shape))


def check_info(info: ModelInfo, shape: InputShape, io: str, source: Path | str) -> None:
    """Raise ModelError unless the description in a model agrees with its graph."""
    if info.io != io:
        raise ModelError(f"{source} takes {io}, but its description says {info.io}; export the model again")
    if (shape.height is None) != (shape.width is None):
        raise ModelError(f"{source} fixes one side of its tiles and not the other; export the model again")
    if shape.batch is not None and not 1 <= shape.batch <= _MAX_BATCH:
        raise ModelError(
            f"{source} takes {shape.batch} tiles at once; export the model again with another --batch"
        )
    for side in shape.tile_hw or ():
        if side > MAX_SIDE_PX:
            raise ModelError(
                f"{source} takes tiles of {shape.height}×{shape.width} px; export the model again with a "
                f"--tile of at most {MAX_SIDE_PX}"
            )
        if side < 1 or side % info.size_multiple_px:
            raise ModelError(
                f"{source} takes tiles of {shape.height}×{shape.width} px, but its network needs "
                f"multiples of {info.size_multiple_px}; export the model again"
            )


def parse_info(text: str | None, model: Path | str) -> ModelInfo:
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
