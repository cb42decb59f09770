"""Peak memory of n2b-infer over one very large TIFF file, in a process of its own.

python benchmarks/gigapixel_memory.py [--size 40000x25000] [--max-memory MB] [--model MODEL | --blur]
                                      [--dtype uint8] [--folder DIR] [--stop-after S]

The file is made on the spot: a smooth colour image with noise, tiled and compressed. It and its result need
several gigabytes in DIR. --blur runs a 3×3 mean, a network of one convolution, in the place of a denoiser: it
measures the memory that the image takes in a minute a gigapixel, and the result is compared row by row with
OpenCV's mean.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from n2b.runtime.images.large_tiff import LargeTiff
from n2b.runtime.model_info import METADATA_KEY, ModelInfo

_INFER = "from n2b.runtime.cli import main; main()"
_TILE_PX = 512


def main() -> None:
    """Print what was run, its peak memory and its time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", default="40000x25000", help="width x height in px")
    parser.add_argument("--dtype", default="uint8", choices=["uint8", "uint16"])
    parser.add_argument("--max-memory", type=int, help="MB; default: that of n2b-infer")
    parser.add_argument("--stop-after", type=float, help="seconds: the memory is level long before the end")
    parser.add_argument("--folder", type=Path, help="where the files go; default: /tmp or its like")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model", default="gaussian")
    which.add_argument("--blur", action="store_true", help="a 3×3 mean in the place of a denoiser")
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        source, result = Path(folder, "large.tif"), Path(folder, "denoised.tif")
        run_python(make_image, source, height, width, arguments.dtype)
        model = make_blur(Path(folder, "blur.onnx"), arguments.dtype) if arguments.blur else arguments.model
        options = ["--model", str(model)]
        if arguments.max_memory is not None:
            options += ["--max-memory", str(arguments.max_memory)]
        print(f"n2b-infer large.tif -o denoised.tif {' '.join(options)}")
        peak_mb, seconds, said = measure([str(source), "-o", str(result), *options], arguments.stop_after)
        print(said)
        megapixels, images_mb = height * width / 1e6, LargeTiff(source).info.nbytes / 1e6
        print(f"{width}×{height} px = {megapixels:.0f} MP of {arguments.dtype}, {images_mb:.0f} MB as pixels")
        if not result.exists():
            print(f"stopped after {seconds:.0f} s; peak resident memory {peak_mb:.0f} MB")
            return
        print(f"files: {source.stat().st_size / 1e6:.0f} MB in, {result.stat().st_size / 1e6:.0f} MB out")
        print(f"peak resident memory {peak_mb:.0f} MB, {seconds:.0f} s, {megapixels / seconds:.2f} MP/s")
        if arguments.blur:
            print(f"largest difference from OpenCV's mean: {largest_difference(source, result)} levels")


def run_python(work, *arguments: object) -> None:
    """Call a function in a process of its own: a new one begins with the peak of the one that starts it."""
    import multiprocessing

    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit("the image could not be made")


def measure(arguments: list[str], stop_after_s: float | None) -> tuple[float, float, str]:
    """(Peak resident memory in MB, seconds, what it said) of n2b-infer, which is killed after so long."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", _INFER, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    killer = None if stop_after_s is None else threading.Timer(stop_after_s, process.kill)
    if killer is not None:
        killer.start()
    assert process.stdout is not None
    said = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if killer is not None:
        killer.cancel()
    if process.returncode not in (0, -signal.SIGKILL if killer is not None else 0):
        raise SystemExit(said)
    unit = 1 if sys.platform == "darwin" else 1024
    return usage.ru_maxrss * unit / 1e6, time.perf_counter() - started, said.strip()


def make_image(path: Path, height: int, width: int, dtype: str) -> None:
    """Write a smooth colour image with noise, a row of tiles at a time."""
    shape = height, width, 3
    with tifffile.TiffWriter(path, bigtiff=height * width * 3 > 2**32) as file:
        file.write(
            _tiles(height, width, dtype), shape=shape, dtype=dtype, tile=(_TILE_PX, _TILE_PX),
            photometric="rgb", compression="zlib", compressionargs={"level": 1}, predictor=True,
            resolution=(300, 300), metadata=None, buffersize=1 << 25,
        )  # fmt: skip


def _tiles(height: int, width: int, dtype: str) -> Iterator[np.ndarray]:
    random = np.random.default_rng(0)
    largest = np.iinfo(dtype).max
    noise = random.normal(0, 0.04, (_TILE_PX, _TILE_PX, 3)).astype(np.float32)
    y, x = np.arange(height, dtype=np.float32), np.arange(width, dtype=np.float32)
    colours = np.array([0, 1, 2], np.float32)
    for top in range(0, height, _TILE_PX):
        for left in range(0, width, _TILE_PX):
            rows, columns = y[top : top + _TILE_PX, None, None], x[left : left + _TILE_PX, None]
            tile = 0.5 + 0.35 * np.sin(rows / 97 + columns / 61 + colours)
            tile += np.roll(noise, int(random.integers(_TILE_PX)), 0)[: tile.shape[0], : tile.shape[1]]
            yield np.rint(np.clip(tile, 0, 1) * largest).astype(dtype)


def make_blur(path: Path, dtype: str) -> Path:
    """An ONNX file that follows n2b's contract and takes the mean of 3×3 px, zeros outside."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    io, kind = ("uint8", TensorProto.UINT8) if dtype == "uint8" else ("float32", TensorProto.FLOAT)
    weights = np.full((3, 1, 3, 3), 1 / 9, np.float32)
    constants = [
        numpy_helper.from_array(weights, "weights"),
        numpy_helper.from_array(np.array(0.5, np.float32), "half"),
    ]
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "weights"], ["mean"], pads=[1, 1, 1, 1], group=3),
        helper.make_node("Add", ["mean", "half"], ["up"]) if io == "uint8" else None,
        helper.make_node("Transpose", ["up" if io == "uint8" else "mean"], ["back"], perm=[0, 2, 3, 1]),
        helper.make_node("Cast", ["back"], ["denoised"], to=kind),
    ]
    shape = ["batch", "height", "width", 3]
    tensors = [helper.make_tensor_value_info(name, kind, shape) for name in ("image", "denoised")]
    graph = helper.make_graph([node for node in nodes if node], "blur", tensors[:1], tensors[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    info = ModelInfo("3×3 mean", io=io, receptive_radius_px=1, default_halo_px=1)
    helper.set_model_props(model, {METADATA_KEY: info.to_json()})
    onnx.save(model, path)
    return path


def largest_difference(source: Path, result: Path) -> int:
    """Between a result and OpenCV's 3×3 mean of its source, over all rows."""
    import cv2

    before, after = LargeTiff(source), LargeTiff(result)
    height = before.info.shape[0]
    tops = range(0, height, 1000)
    around = before.bands((max(0, top - 1), min(height, top + 1001)) for top in tops)
    largest = 0
    for top, noisy, clean in zip(
        tops, around, after.bands((top, min(height, top + 1000)) for top in tops), strict=True
    ):
        mean = cv2.blur(noisy, (3, 3), borderType=cv2.BORDER_CONSTANT)
        first = min(top, 1)
        difference = cv2.absdiff(mean[first : first + len(clean)], clean)
        largest = max(largest, int(difference.max()))
    return largest


if __name__ == "__main__":
    main()
