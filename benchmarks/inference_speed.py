"""Megapixels a second, tiled, against a bare ONNX Runtime session over the whole image, side by side.

python -m benchmarks.inference_speed [--model MODEL] [--size 1536x1024] [--tile auto] [--rounds 5]

The three ways take turns, so that whatever else the machine does strikes all of them alike; the median of
each counts. The last column leaves out what the overlaps of the tiles cost, by counting every pixel that
the network computes, those of the halos too: it shows what is lost elsewhere.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from n2b.runtime import Denoiser
from n2b.runtime.image import Image, write_image
from n2b.runtime.inference import denoise_files
from n2b.runtime.jobs import plan_jobs
from n2b.runtime.machine import usable_cores

from benchmarks.turns import take_turns

_FILES = 3  # that one run of n2b-infer goes through, so that reading and writing can overlap


def main() -> None:
    """Print one line a way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="an ONNX file of open size; default: latest export or bundled")
    parser.add_argument("--size", default="1536x1024", metavar="WxH")
    parser.add_argument("--tile", default="auto", help="auto, or a side in px")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    tile = arguments.tile if arguments.tile == "auto" else int(arguments.tile)
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)

    with (
        Denoiser(arguments.model, tile=tile, device="cpu", backend="onnxruntime") as denoise,
        tempfile.TemporaryDirectory() as folder,
    ):
        plan = denoise.plan(height, width)
        print(
            f"{denoise.model}, {width}×{height} px, {usable_cores()} cores; {len(plan.tiles)} tiles of "
            f"{plan.tile_hw[1]}×{plan.tile_hw[0]} px, overlap {plan.halo_px} px"
        )
        px, canvas_px = height * width, plan.canvas_hw[0] * plan.canvas_hw[1]
        ways = [
            Way("bare session, whole", bare_session(denoise.model, image, plan.canvas_hw), px, canvas_px),
            Way("Denoiser, tiled", lambda: denoise(image), px, plan.computed_px),
            Way(
                f"n2b-infer, {_FILES} files",
                files_run(denoise, image, Path(folder)),
                _FILES * px,
                _FILES * plan.computed_px,
            ),
        ]
        seconds = take_turns([way.run for way in ways], arguments.rounds)

    print(f"{'':22}  {'MP/s':>7}  {'ratio':>6}  {'MP/s computed':>13}  {'ratio':>6}")
    for way, its_seconds in zip(ways, seconds, strict=True):
        given, computed = way.given_px / 1e6 / its_seconds, way.computed_px / 1e6 / its_seconds
        ratio = given / (ways[0].given_px / 1e6 / seconds[0])
        computed_ratio = computed / (ways[0].computed_px / 1e6 / seconds[0])
        print(f"{way.name:22}  {given:7.3f}  {ratio:6.2f}  {computed:13.3f}  {computed_ratio:6.2f}")


@dataclass(frozen=True)
class Way:
    """One way to denoise."""

    name: str
    run: Callable[[], object]
    given_px: int  # pixels of the images
    computed_px: int  # pixels that the network computes for them


def bare_session(model: Path, image: np.ndarray, canvas_hw: tuple[int, int]) -> Callable[[], object]:
    """One run of a session with nothing set but the threads, over the padded image."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    bottom, right = canvas_hw[0] - image.shape[0], canvas_hw[1] - image.shape[1]
    batch = np.pad(image, ((0, bottom), (0, right), (0, 0)), mode="edge")[None]
    return lambda: session.run(None, {"image": batch})


def files_run(denoise: Denoiser, image: np.ndarray, folder: Path) -> Callable[[], object]:
    """What n2b-infer does with a folder of images, apart from loading the model."""
    for number in range(_FILES):
        write_image(folder / "in" / f"{number}.png", Image(image))
    jobs = plan_jobs([folder / "in"], out=folder / "out")
    return lambda: list(denoise_files(jobs, denoise, strength=1, on_progress=lambda _: None))


if __name__ == "__main__":
    main()
