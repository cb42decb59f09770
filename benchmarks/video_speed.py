"""Time the denoising of a video from file to file, and of the model alone for as many frames."""

from __future__ import annotations

import time
from pathlib import Path
from typing import cast
from unittest.mock import patch

import numpy as np
from n2b.runtime import Denoiser
from n2b.runtime.backends import BackendName
from n2b.runtime.backends.onnxruntime import session as onnxruntime_session
from n2b.runtime.backends.openvino import backend as openvino
from n2b.runtime.commands.jobs import Plan
from n2b.runtime.commands.settings import DenoiserOptions
from n2b.runtime.commands.videos import run_videos
from n2b.runtime.pipelines.job import Job
from n2b.runtime.sinks.video_writer import VideoWriter
from n2b.runtime.sources.video_pyav import exact_video_frames
from n2b.runtime.system.opencv import load_opencv

from benchmarks.noisy_images import add_noise, clean_image

_HW = (720, 1280)
_FPS = 30
_PAN_PX = 4  # from frame to frame
_SIGMA = 10


def video_lines(models: list[Path], folder: Path, frames: int, model_cores: int) -> list[str]:
    """Frames a second of n2b-infer over a video of 1280×720 px, and of the model alone.

    Args:
        models: ONNX files of open size.
        folder: for the videos.
        frames: how many.
        model_cores: for the model; where there are more, they are left to reading and writing.
    """
    video = folder / "video.avi"
    _write_video(video, frames)
    copied_s, copied_cpu_s = _copy(video, folder / "copy.mp4")
    lines = [
        f"1280×720 px, {frames} frames, Motion JPEG to H.264",
        f"read and written without a model: {frames / copied_s:.1f} frames/s, "
        f"{copied_cpu_s / frames * 1e3:.1f} ms of one core a frame",
    ]
    with (
        patch.object(openvino, "usable_cores", lambda: model_cores),
        patch.object(onnxruntime_session, "usable_cores", lambda: model_cores),
    ):
        return lines + [line for model in models for line in _model_lines(model, video, folder, frames)]


def _model_lines(model: Path, video: Path, folder: Path, frames: int) -> list[str]:
    """The model alone before and after n2b-infer, so that what else the machine does strikes both alike."""
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
        end_to_end = _infer(video, folder / f"{model.stem}.mp4", model, cast("BackendName", denoise.backend))
        alone += model_alone(frames - half)
    count = f"{len(plan.tiles)} tile{'s' * (len(plan.tiles) > 1)} of {plan.tile_hw[1]}×{plan.tile_hw[0]} px"
    return [
        f"{model.stem}, {denoise.backend} in {denoise.precision}, {count}",
        f"  model alone, on tiles that are there  {frames / alone:6.2f} frames/s",
        f"  n2b-infer, video to video               {frames / end_to_end:6.2f} frames/s, ratio "
        f"{alone / end_to_end:.3f}",
    ]


def _copy(video: Path, out: Path) -> tuple[float, float]:
    """Seconds, and seconds of one core, that reading and writing take."""
    started, cpu = time.perf_counter(), time.process_time()
    writer = VideoWriter(out, *_HW, video)
    for frame in exact_video_frames(video):
        writer.write(frame.pixels, frame.timestamp_ns)
    writer.finish()
    return time.perf_counter() - started, time.process_time() - cpu


def _infer(video: Path, out: Path, model: Path, backend: BackendName) -> float:
    """Seconds from the first frame to the last, as n2b-infer reports them."""
    _, report = run_videos(Plan([Job(video, out)]), DenoiserOptions(model, backend=backend, device="cpu"))
    return report.seconds


def _write_video(path: Path, frames: int) -> None:
    """A pan over a photograph, with noise that differs from frame to frame."""
    cv2 = load_opencv()
    height, width = _HW
    clean = clean_image(height, width + _PAN_PX * frames)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), _FPS, (width, height))
    for number in range(frames):
        left = number * _PAN_PX
        frame = add_noise(np.ascontiguousarray(clean[:, left : left + width]), number, _SIGMA)
        writer.write(np.ascontiguousarray(frame[:, :, ::-1]))
    writer.release()
