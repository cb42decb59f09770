"""Measure the ceilings of a device with PyTorch: bytes copied and products computed per second."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

_REPEATS = 20


def copy_gb_per_s(device: str, megabytes: int = 1024) -> float:
    """Bytes read and written a second, by a copy within the device's memory, in 10⁹ a second."""
    source = torch.zeros(megabytes << 20, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / 1e9 / median_seconds(lambda: target.copy_(source), device)


def matrix_tflops(device: str, dtype: torch.dtype, side: int = 8192) -> float:
    """Products and sums a second, by a product of two square matrices, in 10¹² a second."""
    left, right = (torch.ones(side, side, dtype=dtype, device=device) for _ in range(2))
    return 2 * side**3 / 1e12 / median_seconds(lambda: torch.matmul(left, right), device)


def median_seconds(run: Callable[[], object], device: str, repeats: int = _REPEATS) -> float:
    """Median seconds of one run, after two that do not count; waits for the device each time."""
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    times = []
    for number in range(repeats + 2):
        wait()
        started = time.perf_counter()
        run()
        wait()
        if number >= 2:
            times.append(time.perf_counter() - started)
    return statistics.median(times)
