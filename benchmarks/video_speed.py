"""How fast a film is denoised, from file to file, beside what the model alone takes for as many frames."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from n2b.runtime import Denoiser
from n2b.runtime.opencv import load_opencv

from benchmarks.noisy_pictures import add_noise, clean_picture

_HW = (720, 1280)
_FPS = 30
_PAN_PX = 4  # from frame to frame
_SIGMA = 10


def video_lines(model: Path, folder: Path, frames: int) -> list[str]:
    """Frames a second of n2b-infer over a film of 1280×720 px, and of the model alone, by turns.

    Args:
        model: an ONNX file of open size.
        folder: for the films.
        frames: how many.
    """
    film = folder / "film.avi"
    _write_film(film, frames)
    half = frames // 2
    with Denoiser(model, device="cpu") as denoise:
        backend = denoise._backend
        assert backend is not None
        plan = denoise.plan(*_HW)
        batch = np.zeros((denoise.batch, *plan.tile_hw, 3), np.uint8)
        runs = -(-len(plan.tiles) // denoise.batch)

        def model_alone(count: int) -> float:
            started = time.perf_counter()
            for _ in range(count * runs):
                backend.run(batch)
            return time.perf_counter() - started

        model_alone(1)
        alone = model_alone(half)
        end_to_end = _infer(film, folder / "clean.mp4", model, denoise.backend)
        alone += model_alone(frames - half)
    ratio = (frames / end_to_end) / (frames / alone)
    name = (
        f"{model.stem}, {denoise.backend}, {len(plan.tiles)} tiles of {plan.tile_hw[1]}×{plan.tile_hw[0]} px"
    )
    return [
        f"1280×720 px, {frames} frames, {name}",
        f"model alone, on tiles that are there  {frames / alone:6.2f} frames/s",
        f"n2b-infer, Motion JPEG to H.264       {frames / end_to_end:6.2f} frames/s, ratio {ratio:.3f}",
    ]


def _infer(film: Path, out: Path, model: Path, backend: str) -> float:
    """Seconds from the first frame to the last, as n2b-infer reports them."""
    arguments = [film, "-o", out, "-m", model, "--device", "cpu", "--backend", backend, "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "n2b.runtime", *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)["seconds"]


def _write_film(path: Path, frames: int) -> None:
    """A pan over a photograph, with noise that differs from frame to frame."""
    cv2 = load_opencv()
    height, width = _HW
    clean = clean_picture(height, width + _PAN_PX * frames)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), _FPS, (width, height))
    for number in range(frames):
        left = number * _PAN_PX
        frame = add_noise(np.ascontiguousarray(clean[:, left : left + width]), number, _SIGMA)
        writer.write(np.ascontiguousarray(frame[:, :, ::-1]))
    writer.release()
