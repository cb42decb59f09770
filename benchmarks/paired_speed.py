"""Compare the Denoiser with its own session run bare, in pairs.

    python -m benchmarks.paired_speed [--model camera] [--backend onnxruntime openvino] [--megapixels 1 5 24]
                                      [--rounds 9]

The session, in FP32, runs over the same image, which is padded to the network's multiple and cut beforehand
into tiles of the Denoiser's size at most, without overlap; its results are thrown away. (Another session of
the same file may be 4 % faster or slower, by where its memory lies.) They run in pairs, every other one in
the opposite order; a ratio is that of the CPU times of a pair, which other programs disturb little, and the
median counts. Computed is in pixels per pixel of the image; what tiles compute twice is in the ratio, and not
in the last column.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable

import numpy as np
from n2b.runtime import Denoiser
from n2b.runtime.backends import BackendName
from n2b.runtime.inference.tiling import extract, plan_tiles
from n2b.runtime.system.memory import usable_cores

from benchmarks.noisy_images import add_noise, clean_image

_MEMORY_MB = 2000


def main() -> None:
    """Print a line for each library and size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="camera")
    parser.add_argument("--backend", nargs="+", default=["onnxruntime", "openvino"])
    parser.add_argument("--megapixels", type=float, nargs="+", default=[1, 5, 24])
    parser.add_argument("--rounds", type=int, default=9, help="for one megapixel; larger images get fewer")
    arguments = parser.parse_args()
    print(f"{arguments.model}, {usable_cores()} cores, {_MEMORY_MB} MB\n")
    print("| library | image | tiles | computed | bare: computed | pairs | ratio | without overlap |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for megapixels in arguments.megapixels:
        height = round(math.sqrt(megapixels * 1e6 / 1.5))
        noisy = add_noise(clean_image(height, round(height * 1.5)))
        for backend in arguments.backend:
            print(compare(arguments.model, backend, noisy, max(1, round(arguments.rounds / megapixels))))


def compare(model: str, backend: BackendName, noisy: np.ndarray, rounds: int) -> str:
    """The table's line of one library and image."""
    height, width = noisy.shape[:2]
    out = np.empty_like(noisy)
    with Denoiser(model, backend=backend, device="cpu", precision="fp32", max_memory=_MEMORY_MB) as denoise:
        plan = denoise.plan(height, width)
        multiple_px = denoise.info.size_multiple_px
        cut = plan_tiles(height, width, tile_px=plan.tile_hw, multiple_px=multiple_px)
        bare = denoise._backend
        pieces = [np.ascontiguousarray(extract(noisy, tile)[None]) for tile in cut.tiles]
        ratios = []
        for number in range(rounds + 1):  # in the first one they allocate memory
            ways = [lambda: [bare.run(piece) for piece in pieces], lambda: denoise(noisy, out=out)]
            in_order = ways if number % 2 else ways[::-1]  # so that neither profits from its place
            seconds = {way: _cpu_seconds(way) for way in in_order}
            ratios += [seconds[ways[0]] / seconds[ways[1]]] if number else []
    image_px = height * width
    ratio, extra = statistics.median(ratios), plan.computed_px / cut.computed_px
    tiles = f"{len(plan.tiles)} of {plan.tile_hw[1]}×{plan.tile_hw[0]}"
    cells = [backend, f"{width}×{height}", tiles, f"{plan.computed_px / image_px:.3f}"]
    cells += [f"{cut.computed_px / image_px:.3f}", str(len(ratios)), f"{ratio:.3f}", f"{ratio * extra:.3f}"]
    return f"| {' | '.join(cells)} |"


def _cpu_seconds(run: Callable[[], object]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


if __name__ == "__main__":
    main()
