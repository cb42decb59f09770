"""Time a command from its start to the first result."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from n2b.runtime.images.image import Image, write_image

from benchmarks.noisy_images import add_noise, clean_image

_HW = (321, 481)
_PYTHON = [sys.executable, "-c"]


def start_lines(folder: Path, rounds: int) -> list[str]:
    """One line a command: the median of its seconds.

    Args:
        folder: for the image and the result.
        rounds: how often each is run; a run before warms the system's cache of files.
    """
    image = folder / "small.png"
    write_image(image, Image(add_noise(clean_image(*_HW))))
    infer = [sys.executable, "-m", "n2b.runtime"]
    denoise = [*infer, str(image), "-o", str(folder / "small-out.png")]
    size = f"{_HW[1]}×{_HW[0]}"
    commands = {
        "python, nothing imported": [*_PYTHON, "pass"],
        "import n2b.runtime": [*_PYTHON, "import n2b.runtime"],
        "from n2b.runtime import Denoiser": [*_PYTHON, "from n2b.runtime import Denoiser"],
        "n2b-infer --help": [*infer, "--help"],
        f"n2b-infer, {size} px, until it has ended": denoise,
    }
    seconds = {name: _median_seconds(command, rounds) for name, command in commands.items()}
    seconds["the same, the first time with a model"] = _median_seconds(denoise, rounds, keeps_cache=False)
    return [f"{name:46}  {value:6.2f} s" for name, value in seconds.items()]


def _median_seconds(command: list[str], rounds: int, *, keeps_cache: bool = True) -> float:
    times = []
    for _ in range(rounds + 1):
        with tempfile.TemporaryDirectory() as cache:
            environment = os.environ | ({} if keeps_cache else {"XDG_CACHE_HOME": cache})
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, env=environment)
            times.append(time.perf_counter() - started)
    return statistics.median(times[1:])
