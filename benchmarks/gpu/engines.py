"""Build an engine of each bundled model in FP32, FP16 and INT8, run it, and compare it with the CPU.

python -m benchmarks.gpu.engines --work DIR [--models gaussian,camera] [--tile 512]

The result of ONNX Runtime on the CPU, in FP32, is the reference. A row is printed as soon as it is measured.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from n2b.runtime import Denoiser, N2BError, psnr
from n2b.runtime.cuda import CudaApi
from n2b.runtime.model_files import bundled_models
from n2b.runtime.system import packages
from n2b.runtime.system.tensorrt import FLAVOURS, is_installed

from benchmarks.noisy_images import add_noise, clean_image

_HW = (1024, 1536)
_PRECISIONS = {"fp32": (), "fp16": ("--fp16",), "int8": ("--int8",)}
_CUDA_APIS: tuple[CudaApi, ...] = ("cuda-bindings", "pycuda")


def main() -> None:
    """Print the table, a row for each engine and CUDA binding."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for the engines")
    parser.add_argument("--models", default=",".join(sorted(bundled_models())))
    parser.add_argument("--tile", type=int, default=512)
    arguments = parser.parse_args()
    noisy = add_noise(clean_image(*_HW))
    print(f"{'engine':34} {'built s':>8}  {'by':14} {'PSNR dB':>8} {'largest':>8} {'ms':>8}")
    for model in arguments.models.split(","):
        with Denoiser(bundled_models()[model], device="cpu", backend="onnxruntime") as denoise:
            expected = denoise(noisy)
        for flavour in filter(is_installed, FLAVOURS):
            for precision in _PRECISIONS:
                folder = arguments.work / f"{model}-{flavour}-{precision}"
                for row in compare(model, flavour, precision, folder, arguments.tile, noisy, expected):
                    print(row, flush=True)


def compare(
    model: str, flavour: str, precision: str, folder: Path, tile: int, noisy: np.ndarray, expected: np.ndarray
) -> Iterator[str]:
    """Yield the rows of one engine; where it is not built or not run, the reason."""
    name = f"{model} {flavour} {precision}"
    started = time.monotonic()
    options = ("--target", flavour, "--tile", str(tile), "--no-verify", *_PRECISIONS[precision])
    command = (
        sys.executable,
        "-c",
        "from n2b.export.cli import main; main()",
        model,
        *options,
        "--out",
        folder,
    )
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    built = f"{name:34} {time.monotonic() - started:8.1f}"
    if done.returncode:
        yield f"{built}  {(done.stderr.strip().splitlines() or ['?'])[-1]}"
        return
    (engine,) = folder.glob("*.engine")
    for api in _CUDA_APIS:
        if not packages.is_installed(api.replace("-", ".")):
            yield f"{built}  {api:14} not installed"
            continue
        try:
            with Denoiser(engine, cuda_api=api, strict=True) as denoise:
                result = denoise(noisy)
                started = time.perf_counter()
                denoise(noisy)
                ms = (time.perf_counter() - started) * 1e3
        except N2BError as error:
            yield f"{built}  {api:14} not run: {error}"
            continue
        largest = np.abs(result.astype(int) - expected).max()
        yield f"{built}  {api:14} {psnr(result, expected):8.2f} {largest:8d} {ms:8.1f}"


if __name__ == "__main__":
    main()
