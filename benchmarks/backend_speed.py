"""Compare ONNX Runtime with OpenVINO on this CPU: milliseconds per tile, and how far the results differ.

python -m benchmarks.backend_speed [--tile 512] [--rounds 9] gaussian camera model.int8-cpu.onnx

The two take turns, so that whatever else the machine does strikes both alike.
"""

from __future__ import annotations

import argparse

import numpy as np
from n2b.runtime import psnr
from n2b.runtime.backends.onnxruntime.backend import OnnxRuntimeBackend
from n2b.runtime.backends.openvino.backend import OpenVinoBackend
from n2b.runtime.model_files import find_model
from n2b.runtime.system.memory import usable_cores
from n2b.runtime.system.timing import time_interleaved


def main() -> None:
    """Print a table with a line a model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["gaussian", "camera"])
    parser.add_argument("--tile", type=int, default=512, metavar="PX")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    side = arguments.tile
    print(f"tiles of {side}×{side} px, {usable_cores()} cores, median of {arguments.rounds} rounds\n")
    print("| model | ONNX Runtime, ms | OpenVINO, ms | computed in | times as fast | PSNR to ONNX Runtime |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in arguments.models:
        print(compare(name, side, arguments.rounds))


def compare(name: str, side_px: int, rounds: int) -> str:
    """The table's line of one model."""
    path = find_model(name).onnx
    assert path is not None, f"{name} has no ONNX file"
    one, other = OnnxRuntimeBackend(path, device="cpu"), OpenVinoBackend(path)
    tile = noisy_tile(side_px, one.info.io)
    ours, theirs = time_interleaved([lambda: one.run(tile), lambda: other.run(tile)], rounds)
    difference = psnr(other.run(tile)[0], one.run(tile)[0])
    cells = [name, f"{ours * 1e3:.0f}", f"{theirs * 1e3:.0f}", other.precision, f"{ours / theirs:.2f}"]
    one.close()
    other.close()
    return f"| {' | '.join(cells)} | {difference:.1f} dB |"


def noisy_tile(side_px: int, dtype: str) -> np.ndarray:
    """1×H×W×3: ramps with noise of σ = 25 levels."""
    y, x = np.mgrid[:side_px, :side_px] / side_px
    ramps = 40 + 160 * np.stack([x, y, (x + y) / 2], axis=-1)
    levels = np.clip(ramps + np.random.default_rng(0).normal(0, 25, ramps.shape), 0, 255)
    return (levels.round() if dtype == "uint8" else levels / 255)[None].astype(dtype)


if __name__ == "__main__":
    main()
