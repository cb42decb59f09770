"""Define the ways to denoise one image, each ready to be timed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from n2b.runtime import Denoiser
from n2b.runtime.backends import BackendName
from n2b.runtime.commands.jobs import plan_jobs
from n2b.runtime.commands.settings import OutputPlan
from n2b.runtime.images.image import Image, read_image, write_image
from n2b.runtime.pipelines.images import denoise_files
from n2b.runtime.system.memory import usable_cores
from n2b.runtime.system.opencv import load_opencv

from benchmarks.noisy_images import SIGMA

_MULTIPLE_PX = 32
_PIECE_PX = 1_500_000  # a bare session's working set is 1.5 kB a pixel
_FILES_PX = 4_000_000  # n2b-infer is timed over so many at least, so that reading and writing can overlap
_SLOW_PX = 1_500_000  # larger images are left out where one would take minutes


@dataclass(frozen=True)
class Way:
    """One way to denoise an image.

    Attributes:
        run: does it; gives the result, or None where the result is not the image's (an untrained network).
        images: how many times the image is denoised in a run.
        computed_px: pixels that the network computes in a run, those of halos and padding too.
    """

    name: str
    run: Callable[[], np.ndarray | None]
    images: int
    computed_px: int


def ways(noisy: np.ndarray, models: list[Path], folder: Path, opened: ExitStack) -> Iterator[Way]:
    """All ways, the bare session of the first model first.

    Args:
        noisy: (H, W, 3) uint8.
        models: ONNX files of open size, FP32 first, then others such as INT8 for CPUs.
        folder: for files.
        opened: closes what is opened.
    """
    for model in models:
        yield _bare_session(model, noisy)
        yield _denoiser(model, noisy, "onnxruntime", opened)
        yield _files(model, noisy, folder, opened)
        if importlib.util.find_spec("openvino"):
            yield _denoiser(model, noisy, "openvino", opened)
    if importlib.util.find_spec("torch"):
        yield from _torch_ways(noisy)
    px = noisy.shape[0] * noisy.shape[1]
    yield Way("OpenCV, fastNlMeansDenoisingColored", _non_local_means(noisy), 1, px)
    if importlib.util.find_spec("bm3d") and px <= _SLOW_PX:
        yield Way("BM3D (package bm3d)", _bm3d(noisy), 1, px)


def _bare_session(model: Path, noisy: np.ndarray) -> Way:
    """A session with nothing set but the threads, over the padded image, cut beforehand into pieces without
    overlap where it is larger than memory allows at once."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    height, width = noisy.shape[:2]
    padded = np.pad(noisy, ((0, -height % _MULTIPLE_PX), (0, -width % _MULTIPLE_PX), (0, 0)), mode="edge")
    rows = max(1, _PIECE_PX // padded.shape[1] // _MULTIPLE_PX) * _MULTIPLE_PX
    pieces = [padded[None, top : top + rows] for top in range(0, len(padded), rows)]

    def run() -> np.ndarray:
        results = [np.asarray(session.run(None, {"image": piece})[0]) for piece in pieces]
        return np.concatenate(results, axis=1)[0, :height, :width]

    name = f"bare ONNX Runtime, {_precision(model)}, {len(pieces)} piece{'s' * (len(pieces) > 1)}"
    return Way(name, run, 1, padded.shape[0] * padded.shape[1])


def _denoiser(model: Path, noisy: np.ndarray, backend: BackendName, opened: ExitStack) -> Way:
    denoise = opened.enter_context(Denoiser(model, backend=backend, device="cpu"))
    plan = denoise.plan(*noisy.shape[:2])
    count = f"{len(plan.tiles)} tile{'s' * (len(plan.tiles) > 1)}"
    name = f"Denoiser, {backend}, {denoise.precision.upper()}, {count}"
    return Way(name, lambda: denoise(noisy), 1, plan.computed_px)


def _files(model: Path, noisy: np.ndarray, folder: Path, opened: ExitStack) -> Way:
    """Denoise a folder of PNG files as n2b-infer does, without loading the model."""
    height, width = noisy.shape[:2]
    count = max(1, round(_FILES_PX / (height * width)))
    source, out = folder / f"in-{height}x{width}", folder / "out"
    for number in range(count):
        if not (source / f"{number}.png").exists():
            write_image(source / f"{number}.png", Image(noisy))
    jobs = plan_jobs([source], OutputPlan(out)).jobs
    denoise = opened.enter_context(Denoiser(model, backend="onnxruntime", device="cpu"))

    def run() -> np.ndarray:
        for report in denoise_files(jobs, denoise, strength=1, on_progress=lambda _: None):
            if report.error is not None:
                raise report.error
        return read_image(jobs[0].destination).pixels

    name = f"n2b-infer, {_precision(model)}, {count} PNG file{'s' * (count > 1)}"
    return Way(name, run, count, count * denoise.plan(height, width).computed_px)


def _torch_ways(noisy: np.ndarray) -> Iterator[Way]:
    """The U-Net of the bundled model in PyTorch, with weights that were not trained: speed alone."""
    import torch
    from n2b.training.models.registry import build_denoiser

    torch.set_num_threads(usable_cores())
    network = build_denoiser("unet").eval()
    height, width = (side // _MULTIPLE_PX * _MULTIPLE_PX for side in noisy.shape[:2])
    rows = max(1, _PIECE_PX // width // _MULTIPLE_PX) * _MULTIPLE_PX
    image = torch.from_numpy(noisy[:height, :width].copy())
    pieces = [image[None, top : top + rows] for top in range(0, height, rows)]

    def way(name: str, module: Callable[[Any], Any]) -> Way:
        def run() -> None:
            with torch.inference_mode():
                for piece in pieces:
                    result = module(piece.permute(0, 3, 1, 2).float() / 255)
                    (result.clamp(0, 1) * 255 + 0.5).to(torch.uint8).permute(0, 2, 3, 1).contiguous()

        return Way(name, run, 1, height * width)

    yield way("PyTorch eager, FP32", network)
    if height * width <= _SLOW_PX:
        compiled = way("PyTorch compiled, FP32", torch.compile(network, dynamic=False))
        compiled.run()  # compiles
        yield compiled


def _non_local_means(noisy: np.ndarray) -> Callable[[], np.ndarray]:
    """With OpenCV's own sizes of patch (7) and search (21), and the strength of its documentation's example
    scaled to the noise: h = σ."""
    cv2 = load_opencv()
    return lambda: cv2.fastNlMeansDenoisingColored(noisy, None, SIGMA, SIGMA, 7, 21)


def _bm3d(noisy: np.ndarray) -> Callable[[], np.ndarray]:
    from benchmarks.baselines.bm3d import bm3d

    return lambda: bm3d(noisy, SIGMA)


def _precision(model: Path) -> str:
    """As the file says."""
    from n2b.runtime.model_info import METADATA_KEY, ModelInfo

    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    text = session.get_modelmeta().custom_metadata_map[METADATA_KEY]
    return ModelInfo.from_json(text, source=str(model)).precision.upper()
