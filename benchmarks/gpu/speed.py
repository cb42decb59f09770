"""Time a GPU on 1080p frames and a 24-megapixel image, and compare with its ceilings.

python -m benchmarks.gpu.speed [--model gaussian] [--engines DIR] [--device cuda]

Images start and end in host memory, except with PyTorch: the network alone, on an image that is on
the device.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from n2b.runtime import Denoiser
from n2b.runtime.backends import BackendName
from n2b.runtime.errors import N2BError
from n2b.runtime.model_files import find_model
from n2b.training.models.registry import build_denoiser

from benchmarks.ceilings import copy_gb_per_s, matrix_tflops, median_seconds
from benchmarks.noisy_images import add_noise, clean_image

_SIZES_HW = ((1080, 1920), (4000, 6000))
_MULTIPLE_PX = 32


def main() -> None:
    """Print the ceilings, then a table for each size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="gaussian", help="an ONNX file of open size, or a bundled model")
    parser.add_argument("--engines", type=Path, help="folder with engines of the same model: MODEL*/*.engine")
    parser.add_argument("--device", default="cuda", help="cpu serves to try this program itself")
    parser.add_argument("--size", metavar="WxH", nargs="*", help="default: 1920x1080 6000x4000")
    arguments = parser.parse_args()
    is_gpu = arguments.device.startswith("cuda")
    if is_gpu and not torch.cuda.is_available():
        raise SystemExit("there is no GPU that PyTorch can use")
    for line in _ceilings(arguments.device, is_gpu):
        print(line)
    engines = sorted(arguments.engines.glob(f"{arguments.model}*/*.engine")) if arguments.engines else []
    sizes = [(int(h), int(w)) for w, h in (size.split("x") for size in arguments.size or [])] or _SIZES_HW
    for height, width in sizes:
        _print_size(height, width, arguments.model, engines, arguments.device)


def _ceilings(device: str, is_gpu: bool) -> Iterator[str]:
    name = torch.cuda.get_device_name() if is_gpu else "CPU"
    yield f"{name}: memory {copy_gb_per_s(device, 1024 if is_gpu else 64):.0f} GB/s"
    dtypes = (torch.float32, torch.float16, torch.bfloat16) if is_gpu else (torch.float32,)
    for dtype in dtypes:
        yield f"matrices, {dtype}: {matrix_tflops(device, dtype, 8192 if is_gpu else 512):.2f} TFLOP/s"


def _print_size(height: int, width: int, model: str, engines: list[Path], device: str) -> None:
    noisy = add_noise(clean_image(height, width))
    flops_per_px = 0
    print(f"\n{width}×{height} px\n{'':44}  {'ms':>8}  {'MP/s':>8}  {'frames/s':>8}  {'TFLOP/s':>8}")
    with ExitStack() as opened:
        for name, run in [
            *_denoisers(noisy, model, engines, device, opened),
            *_torch_ways(noisy, device),
        ]:
            if isinstance(run, str):
                print(f"{name:44}  {run}")
                continue
            flops_per_px = flops_per_px or _flops_per_px(model)
            seconds = median_seconds(run, device)
            rate = height * width / seconds
            print(
                f"{name:44}  {seconds * 1e3:8.2f}  {rate / 1e6:8.1f}  {1 / seconds:8.1f}  "
                f"{rate * flops_per_px / 1e12:8.2f}",
                flush=True,
            )


def _denoisers(
    noisy: np.ndarray, model: str, engines: list[Path], device: str, opened: ExitStack
) -> Iterator[tuple[str, Callable[[], object] | str]]:
    """The engines, and ONNX Runtime; of one that does not open, the reason."""
    files: list[tuple[str, BackendName]] = [
        *((str(engine), "tensorrt") for engine in engines),
        (model, "onnxruntime"),
    ]
    for path, backend in files:
        out = np.empty_like(noisy)
        try:
            denoise = opened.enter_context(Denoiser(path, backend=backend, device=device, strict=True))
        except N2BError as error:
            yield f"{_title(path)}, {backend}", str(error)
            continue
        tiles = len(denoise.plan(*noisy.shape[:2]).tiles)
        yield (
            f"{_title(path)}, {denoise.backend}, {denoise.info.precision}, {tiles} tiles",
            lambda denoise=denoise, out=out: denoise(noisy, out=out),
        )


def _title(path: str) -> str:
    return Path(path).parent.name if path.endswith(".engine") else Path(path).name


def _torch_ways(noisy: np.ndarray, device: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """Time the paper's U-Net, untrained, on the image in one piece."""
    height, width = (side // _MULTIPLE_PX * _MULTIPLE_PX for side in noisy.shape[:2])
    dtype = torch.float16 if device.startswith("cuda") else torch.float32
    network: Any = build_denoiser("unet").eval().to(device, dtype)
    network = network.to(memory_format=torch.channels_last)
    image = torch.from_numpy(noisy[:height, :width].copy()).to(device).permute(2, 0, 1)[None]
    image = image.to(dtype).div(255).contiguous(memory_format=torch.channels_last)

    def run(module: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[], object]:
        def once() -> object:
            with torch.inference_mode():
                return module(image)

        return once

    yield f"PyTorch eager, {dtype}", run(network)
    if device.startswith("cuda"):
        yield f"PyTorch compiled, {dtype}", run(torch.compile(network, mode="max-autotune"))


def _flops_per_px(model: str) -> int:
    with Denoiser(find_model(model).onnx, device="cpu", backend="onnxruntime") as denoise:
        return denoise.info.flops_per_pixel


if __name__ == "__main__":
    main()
