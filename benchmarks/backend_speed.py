"""Compare precisions and libraries on this CPU: speed, quality, frames of a video, and pixels computed twice.

    python -m benchmarks.backend_speed [gaussian camera …] [--pairs gaussian NOISY CLEAN] [--tile 512]
                                       [--rounds 5] [--cpu-time]

A line for each model, precision and library. They take turns, so that whatever else the machine does strikes
all alike; MP/s is the median over tiles of one size, by CPU time with --cpu-time. Frames/s are what that
makes of a video of 1280×720 px, which the networks compute as 1280×736. dB is the mean PSNR of the results of
NOISY to CLEAN, which have the same names. The last column is what `Denoiser` computes of an image of 1, 5 and
24 MP, in pixels per pixel, with a working set of --memory MB, or of half of what is free.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from n2b.runtime import Denoiser, read_image
from n2b.runtime.backends import PRECISIONS, BackendName
from n2b.runtime.errors import EnvironmentFault, ModelError
from n2b.runtime.images.convert import to_rgb_uint8
from n2b.runtime.images.metrics import psnr
from n2b.runtime.model_files import find_model
from n2b.runtime.sources import find_images
from n2b.runtime.system.memory import usable_cores
from n2b.runtime.system.timing import time_interleaved

_LIBRARIES: tuple[BackendName, ...] = ("onnxruntime", "openvino")
_VIDEO_PX = 1280 * 736
_SIZES_HW = (816, 1224), (1826, 2739), (4000, 6000)


@dataclass(frozen=True)
class Form:
    """A model in one precision and library, open."""

    model: str
    denoise: Denoiser

    def __str__(self) -> str:
        return f"{self.model} | {self.denoise.precision.upper()} | {self.denoise.backend}"

    def computed(self) -> str:
        """Pixels computed per pixel of an image, by its size."""
        plans = [self.denoise.plan(*size) for size in _SIZES_HW]
        return ", ".join(f"{plan.computed_px / np.prod(plan.image_hw):.3f}" for plan in plans)


def main() -> None:
    """Print a table with a line for each model, precision and library."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=["gaussian", "camera"])
    parser.add_argument("--pairs", nargs=3, action="append", default=[], metavar=("MODEL", "NOISY", "CLEAN"))
    parser.add_argument("--tile", type=int, default=512, metavar="PX")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", type=float, metavar="MB")
    parser.add_argument(
        "--cpu-time", action="store_true", help="count CPU time: for one core with other load"
    )
    arguments = parser.parse_args()
    print(
        f"tiles of {arguments.tile}×{arguments.tile} px, {usable_cores()} cores, {arguments.rounds} rounds\n"
    )
    print("| model | precision | library | MP/s | ratio | 720p frames/s | dB | computed at 1, 5, 24 MP |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    pairs = {model: (Path(noisy), Path(clean)) for model, noisy, clean in arguments.pairs}
    for name in arguments.models:
        forms = list(open_forms(name, arguments.memory))
        tile = noisy_tile(arguments.tile, forms[0].denoise.info.io)
        runs = [partial(form.denoise, tile) for form in forms]
        seconds = time_interleaved(runs, arguments.rounds, in_cpu_time=arguments.cpu_time)
        for form, its_s in zip(forms, seconds, strict=True):
            speed = tile[..., 0].size / its_s
            quality = f"{mean_psnr(form.denoise, *pairs[name]):.2f}" if name in pairs else ""
            print(
                f"| {form} | {speed / 1e6:.3f} | {seconds[0] / its_s:.2f} | {speed / _VIDEO_PX:.2f} | "
                f"{quality} | {form.computed()} |",
                flush=True,
            )
            form.denoise.close()


def open_forms(name: str, memory_mb: float | None) -> Iterator[Form]:
    """Open a model in every precision and library that there is here, FP32 in ONNX Runtime first."""
    path = find_model(name).onnx
    for precision in PRECISIONS:
        for library in _LIBRARIES if precision != "auto" else ():
            try:
                denoise = Denoiser(
                    path, backend=library, device="cpu", precision=precision, max_memory=memory_mb
                )
                yield Form(name, denoise)
            except (EnvironmentFault, ModelError) as error:
                print(f"<!-- {name}: {precision} in {library}: {error} -->")


def mean_psnr(denoise: Denoiser, noisy: Path, clean: Path) -> float:
    """Mean PSNR of the results to the clean images of the same names, in dB."""
    references = {path.stem: path for path in find_images([clean])}
    images = (
        (to_rgb_uint8(read_image(path).pixels), to_rgb_uint8(read_image(references[path.stem]).pixels))
        for path in find_images([noisy])
    )
    return float(np.mean([psnr(denoise(image), reference) for image, reference in images]))


def noisy_tile(side_px: int, dtype: str) -> np.ndarray:
    """H×W×3: ramps with noise of σ = 25 levels."""
    y, x = np.mgrid[:side_px, :side_px] / side_px
    ramps = 40 + 160 * np.stack([x, y, (x + y) / 2], axis=-1)
    levels = np.clip(ramps + np.random.default_rng(0).normal(0, 25, ramps.shape), 0, 255)
    return (levels.round() if dtype == "uint8" else levels / 255).astype(dtype)


if __name__ == "__main__":
    main()
