"""Peak memory of n2b-infer over photographs of several sizes, each in a process of its own.

python benchmarks/inference_memory.py [--model MODEL] [--max-memory 1000] [--megapixels 6 24 96]

Besides the decoded image and its result ("images"), memory should not grow with the photograph.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from n2b.runtime.images.image import Image, write_image

_ASPECT = 3 / 2
_INFER = "from n2b.runtime.cli import main; main()"


def main() -> None:
    """Print one line a size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="default: the latest export, else the bundled model")
    parser.add_argument("--max-memory", type=int, default=1000, help="MB")
    parser.add_argument("--megapixels", type=float, nargs="+", default=[6, 24, 96])
    arguments = parser.parse_args()
    options = ["--max-memory", str(arguments.max_memory)]
    options += ["--model", arguments.model] if arguments.model else []
    print(f"n2b-infer {' '.join(options)}")
    print(f"{'MP':>5}  {'size/px':>12}  {'images/MB':>11}  {'peak/MB':>8}  {'rest/MB':>8}  {'s':>6}")
    for megapixels in arguments.megapixels:
        height = round((megapixels * 1e6 / _ASPECT) ** 0.5)
        width = round(height * _ASPECT)
        peak_mb, seconds = measure(height, width, options)
        images_mb = 2 * 3 * height * width / 1e6
        print(
            f"{megapixels:5g}  {f'{width}×{height}':>12}  {images_mb:11.0f}  {peak_mb:8.0f}  "
            f"{peak_mb - images_mb:8.0f}  {seconds:6.1f}",
            flush=True,
        )


def measure(height: int, width: int, options: list[str]) -> tuple[float, float]:
    """(Peak resident memory in MB, seconds) of n2b-infer over one photograph."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "photograph.png")
        # Made elsewhere: a new process begins with the peak of the one that starts it.
        new = multiprocessing.get_context("spawn")
        making = new.Process(target=make_image, args=(source, height, width))
        making.start()
        making.join()
        command = [sys.executable, "-c", _INFER, str(source), "-o", str(Path(folder, "result.png")), *options]
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert process.stderr is not None
        messages = process.stderr.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(messages)
    unit = 1 if sys.platform == "darwin" else 1024
    return usage.ru_maxrss * unit / 1e6, seconds


def make_image(path: Path, height: int, width: int) -> None:
    """Write a smooth colour image with noise."""
    random = np.random.default_rng(0)
    y, x = np.arange(height, dtype=np.float32)[:, None, None], np.arange(width, dtype=np.float32)[:, None]
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, 256):  # in bands, for the sake of this process's memory
        band = y[top : top + 256]
        waves = 127 + 90 * np.sin(band / 97 + x / 61 + np.array([0, 1, 2], np.float32))
        noise = random.normal(0, 10, waves.shape)
        pixels[top : top + 256] = np.clip(waves + noise, 0, 255)
    write_image(path, Image(pixels))


if __name__ == "__main__":
    main()
