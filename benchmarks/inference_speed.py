"""Compare the speed of n2b with a bare session, other libraries and other methods, in one run.

python -m benchmarks.inference_speed [start] [stills] [video] [--model gaussian] [--int8 FILE]
                                     [--megapixels 1 5 24] [--rounds 5]

The ways take turns, so that whatever else the machine does strikes all of them alike; the median of each
counts, and ratios are to the first, a bare ONNX Runtime session over the same pixels. The last column leaves
out what the overlaps of the tiles cost, by counting every pixel that the network computes: it shows what is
lost elsewhere.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from n2b.runtime.images.metrics import psnr
from n2b.runtime.model_files import find_model
from n2b.runtime.system.memory import usable_cores
from n2b.runtime.system.timing import time_interleaved

from benchmarks.image_pipelines import Way, ways
from benchmarks.noisy_images import SIGMA, add_noise, clean_image
from benchmarks.start_speed import start_lines
from benchmarks.video_speed import video_lines

_PARTS = ("start", "stills", "video")
_LONG_S = 12  # what takes longer is timed once, the first time


def main() -> None:
    """Print a table for each part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(_PARTS)}; default: all")
    parser.add_argument("--model", default="gaussian", help="an ONNX file of open size, or a bundled model")
    parser.add_argument("--video-models", nargs="+", default=["camera", "gaussian"])
    parser.add_argument("--int8", type=Path, help="the model's INT8 file for CPUs, to be timed too")
    parser.add_argument("--megapixels", type=float, nargs="+", default=[1, 5, 24])
    parser.add_argument("--rounds", type=int, default=5, help="for one megapixel; larger images get fewer")
    parser.add_argument("--frames", type=int, default=120, help="of the video")
    parser.add_argument(
        "--model-cores", type=int, default=usable_cores(), help="for the model, over the video; default: all"
    )
    arguments = parser.parse_args()
    parts = arguments.parts or _PARTS
    unknown = set(parts) - set(_PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(_PARTS)}")
    print(f"{usable_cores()} cores")
    with tempfile.TemporaryDirectory() as folder:
        if "start" in parts:
            print("\nFrom a cold start", *start_lines(Path(folder), arguments.rounds), sep="\n")
        if "stills" in parts:
            models = [_onnx(arguments.model), *([arguments.int8] if arguments.int8 else [])]
            for megapixels in arguments.megapixels:
                print_stills(megapixels, models, Path(folder), arguments.rounds)
        if "video" in parts:
            videos = [_onnx(model) for model in arguments.video_models]
            print(
                "\nVideo",
                *video_lines(videos, Path(folder), arguments.frames, arguments.model_cores),
                sep="\n",
            )


def print_stills(megapixels: float, models: list[Path], folder: Path, rounds: int) -> None:
    """Time all ways over an image of 3:2 and print a line for each."""
    height = round(math.sqrt(megapixels * 1e6 / 1.5))
    clean = clean_image(height, round(height * 1.5))
    noisy = add_noise(clean)
    rounds = max(1, round(rounds / max(1, megapixels)))
    print(f"\n{clean.shape[1]}×{height} px, σ = {SIGMA} ({psnr(noisy, clean):.2f} dB), median of {rounds}")
    print(f"{'':50}  {'PSNR/dB':>7}  {'MP/s':>7}  {'ratio':>6}  {'halo':>6}  {'ratio, halo counted':>19}")
    with ExitStack() as opened:
        all_ways = list(ways(noisy, models, folder, opened))
        quality, first_s = zip(*(_first(way, clean) for way in all_ways), strict=True)
        quick = [way.run for way, its_s in zip(all_ways, first_s, strict=True) if its_s < _LONG_S]
        turns = iter(time_interleaved(quick, rounds, warm=True))
        seconds = [next(turns) if its_s < _LONG_S else its_s for its_s in first_s]
    px = noisy.shape[0] * noisy.shape[1]
    first = all_ways[0].computed_px / seconds[0]
    for way, its_quality, its_seconds in zip(all_ways, quality, seconds, strict=True):
        speed, computed = way.images * px / its_seconds, way.computed_px / its_seconds
        db = f"{'—':>7}" if its_quality is None else f"{its_quality:7.2f}"
        halo = way.computed_px / (way.images * px) - 1
        print(
            f"{way.name:50}  {db}  {speed / 1e6:7.3f}  {speed / (px / seconds[0]):6.2f}  {halo:6.1%}  "
            f"{computed / first:19.2f}",
            flush=True,
        )


def _first(way: Way, clean: np.ndarray) -> tuple[float | None, float]:
    """PSNR of the result, and how long it took."""
    started = time.perf_counter()
    result = way.run()
    seconds = time.perf_counter() - started
    return None if result is None else psnr(result, clean), seconds


def _onnx(model: str) -> Path:
    path = find_model(model).onnx
    if path is None:
        raise SystemExit(f"{model} has no ONNX file")
    return path


if __name__ == "__main__":
    main()
