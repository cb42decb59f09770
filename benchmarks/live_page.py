"""Time the live page's work per frame: `python benchmarks/live_page.py [--width PX --height PX]`."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import closing

import numpy as np
from n2b.runtime.controls import Controls
from n2b.runtime.frame import Frame
from n2b.runtime.live_stats import StreamMeter
from n2b.runtime.preview.messages import Pair, pair_message, pair_noise
from n2b.runtime.preview.sink import PageSink
from websockets.sync.client import connect
from websockets.typing import Origin


def main() -> None:
    """Print the median time of each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=1280, metavar="PX")
    parser.add_argument("--height", type=int, default=720, metavar="PX")
    parser.add_argument("--sigma", type=float, default=25, help="noise of the frame before, of 255")
    options = parser.parse_args()

    after = _smooth_image(options.height, options.width)
    noise = np.random.default_rng(0).normal(0, options.sigma, after.shape)
    before = np.clip(np.rint(after + noise), 0, 255).astype(np.uint8)
    pair = Pair(0, before, after)
    page = PageSink("0", Controls(), StreamMeter())
    steps: dict[str, Callable[[], object]] = {
        "write, in the sinks' thread, one viewer": lambda: page.write(Frame(before, "camera", 0, 0), after),
        "pair of JPEGs, full size": lambda: pair_message(pair, options.width),
        "noise estimate": lambda: pair_noise(pair),
    }
    with closing(page), connect(f"{page.url.replace('http', 'ws')}live", origin=Origin(page.url.rstrip("/"))):
        for name, step in steps.items():
            print(f"{name:38}{_median_ms(step):8.3f} ms")
    print(f"{'a pair':38}{len(pair_message(pair, options.width)) / 1000:8.0f} kB")


def _smooth_image(height: int, width: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    waves = [128 + 100 * np.sin(rows / (90 + 30 * c) + columns / (70 - 10 * c)) for c in range(3)]
    return np.stack(waves, axis=2).astype(np.uint8)


def _median_ms(step: Callable[[], object], times: int = 50) -> float:
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        step()
        taken.append((time.perf_counter() - started) * 1e3)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
