"""Verify that an exported ONNX file computes what its source computes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from ...calibration.network_values import from_network, to_levels, to_network
from ...calibration.session import open_session, run_session
from ...runtime.backends.graph_contract import IMAGE
from ...runtime.errors import VerificationError
from ...runtime.images.metrics import psnr
from ...runtime.model_info import ModelInfo
from ..onnx.file import read_onnx
from ..onnx.io_contract import strip_contract
from .divergence import describe_divergence
from .node_by_node import run_node_by_node
from .reference import Reference
from .test_images import CAMERA_SIGMA, COUNT, SIGMA, noisy_images
from .visible_artifacts import VisibleArtifacts, gradient, measure_artifacts

LARGEST_FP32_DIFFERENCE = 1 / 255
# INT8 loses what calibration allows; this only detects a graph that is wrong
LOWEST_PSNR_DB = {"fp16": 50.0, "int8": 12.0, "int8-cpu": 12.0}
COMPUTED_IN_FP16 = ("fp16", "int8")  # on a GPU; the floats of int8-cpu are FP32
UNTRAINED = 1e3  # results this large are no image, and FP32 rounds them by more than is allowed
DYNAMIC_PX = 256  # height of the images for a dynamic graph, and for one run node by node
LAYER_CROP_PX = 128  # side of the crop used to find a diverging layer


@dataclass(frozen=True)
class Agreement:
    """Comparison of an exported file's results with its reference's."""

    psnr_db: float  # of all results together, including the gradient's, for a peak of 1; infinite if equal
    largest_difference: float  # of any value, relative to the whole range
    images: str  # description of what was denoised
    overflow: str | None = None  # the first layer with a value that FP16 cannot hold, if any
    artifacts: VisibleArtifacts | None = None  # visible artifacts of rounding


def verify_onnx(path: Path, reference: Reference, *, source: str) -> Agreement:
    """Compare an exported ONNX file with its reference on noisy photographs and a smooth gradient.

    FP32 files and those for CPUs run as in use; files with FP16 run node by node, as a GPU computes.

    Raises:
        VerificationError: FP32 is off by more than 1/255, FP16 is below 50 dB, INT8 below 12, or a value is
            not finite; the message names the first such layer.
    """
    model, info = read_onnx(path)
    batch, height_px, width_px = _input_shape(model, info)
    count = -(-max(batch, COUNT + 1) // batch) * batch
    sigma = CAMERA_SIGMA if info.trained.get("noise") == "real" else SIGMA
    test_images = noisy_images(height_px, width_px, count=count - 1, sigma=sigma)
    images = np.concatenate([test_images.noisy, gradient(height_px, width_px)[None]])
    noisy = images if info.io == "float32" else to_levels(images)
    transform = info.value_transform
    expected = np.concatenate([_expected(reference, image[None], transform, source) for image in noisy])
    if info.precision in COMPUTED_IN_FP16:
        results, overflow = _run_as_gpu(model, noisy)
    else:
        results, overflow = _run(path, noisy, batch), None
    agreement = _compare(results, expected, f"{test_images.description}, and a smooth gradient", overflow)
    if np.isfinite(results).all():
        artifacts = measure_artifacts(noisy, results, expected, test_images.clean)
        agreement = dataclasses.replace(agreement, artifacts=artifacts)
    if not _is_good(agreement, info.precision):
        crop = _worst_crop(noisy, results, expected, info.size_multiple_px)
        bare = strip_contract(model, path.name)
        raise VerificationError(
            _complaint(agreement, info.precision, path.name, source)
            + (
                f"layer '{overflow}' goes beyond what FP16 can hold (65504), so export without --fp16"
                if overflow
                else describe_divergence(bare, info.precision, reference, to_network(crop, transform))
            )
        )
    return agreement


def _input_shape(model: onnx.ModelProto, info: ModelInfo) -> tuple[int, int, int]:
    """Return N, H and W to verify with; node by node any size works, and smaller ones are faster."""
    n, height_px, width_px = (dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim[:3])
    multiple = info.size_multiple_px
    height_usual = max(multiple, DYNAMIC_PX // multiple * multiple)
    width_usual = height_usual + multiple  # not square, to detect swapped axes
    if info.precision in COMPUTED_IN_FP16:
        return 1, min(height_px or height_usual, height_usual), min(width_px or width_usual, width_usual)
    return n or 1, height_px or height_usual, width_px or width_usual


def _expected(reference: Reference, images: np.ndarray, transform: str, source: str) -> np.ndarray:
    """Return the expected results for N×H×W×C images, in their dtype."""
    result = reference.run(to_network(images, transform))
    if not np.abs(result).max() < UNTRAINED:  # NaN too
        raise VerificationError(
            f"{source} itself produces values up to {np.abs(result).max():.2g}, and images end at 1; "
            "its training went wrong: train it again"
        )
    values = from_network(result, transform)
    return values if images.dtype == np.float32 else to_levels(values)


def _run(path: Path, noisy: np.ndarray, batch: int) -> np.ndarray:
    session = open_session(path, path.name)
    return np.concatenate([run_session(session, noisy[i : i + batch]) for i in range(0, len(noisy), batch)])


def _run_as_gpu(model: onnx.ModelProto, noisy: np.ndarray) -> tuple[np.ndarray, str | None]:
    """Return the results, and the first layer with a value that is not finite."""
    results, overflow = [], None
    for image in noisy:
        result = image[None]
        for name, result in run_node_by_node(model, {IMAGE: image[None]}):
            if overflow is None and result.dtype == np.float16 and not np.isfinite(result).all():
                overflow = name
        results.append(result)
    return np.concatenate(results), overflow


def _compare(results: np.ndarray, expected: np.ndarray, images: str, overflow: str | None) -> Agreement:
    if not np.isfinite(results).all():
        return Agreement(float("-inf"), float("inf"), images, overflow)
    peak = 255 if results.dtype == np.uint8 else 1
    difference = np.abs(results.astype(np.float64) - expected).max() / peak
    return Agreement(psnr(results, expected), float(difference), images, overflow)


def _is_good(agreement: Agreement, precision: str) -> bool:
    if precision == "fp32":
        return agreement.largest_difference < 1.001 * LARGEST_FP32_DIFFERENCE
    return agreement.psnr_db >= LOWEST_PSNR_DB[precision] and not agreement.overflow


def _complaint(agreement: Agreement, precision: str, name: str, source: str) -> str:
    limit = "at most 1/255" if precision == "fp32" else f"at least {LOWEST_PSNR_DB[precision]:g} dB"
    levels = agreement.largest_difference * 255
    return (
        f"{name} does not compute what {source} computes: PSNR {agreement.psnr_db:.1f} dB, largest "
        f"difference {levels:.3g}/255 ({limit} expected), so nothing was written; "
    )


def _worst_crop(noisy: np.ndarray, results: np.ndarray, expected: np.ndarray, multiple: int) -> np.ndarray:
    """Return the crop, 1×H×W×C, around the largest difference."""
    difference = np.nan_to_num(np.abs(results.astype(np.float32) - expected), nan=np.inf)
    image, y, x, _ = (int(i) for i in np.unravel_index(np.argmax(difference), difference.shape))
    rows, columns = _span(y, noisy.shape[1], multiple), _span(x, noisy.shape[2], multiple)
    return noisy[image : image + 1, rows, columns]


def _span(centre: int, size: int, multiple: int) -> slice:
    length = min(size, max(multiple, LAYER_CROP_PX // multiple * multiple))
    start = min(max(0, centre - length // 2), size - length) // multiple * multiple
    return slice(start, start + length)
