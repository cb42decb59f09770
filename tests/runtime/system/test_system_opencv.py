"""A real window, a real GStreamer pipeline and a Jetson's set-up, by the system's OpenCV, which has both."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import n2b.runtime
import pytest

SYSTEM_PYTHON = "/usr/bin/python3"

PIPELINE = """
from contextlib import closing
from n2b.runtime.sources import frames
with closing(frames("videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=30/1")) as source:
    seen = [next(source) for _ in range(5)]
assert [frame.pixels.shape for frame in seen] == [(240, 320, 3)] * 5
assert seen[0].pixels.std() > 20 and seen[-1].index >= 4
"""

JETPACK = """
import sys
from contextlib import closing
from pathlib import Path
import cv2, numpy as np
from fakes.cuda import FakeCuda
from fakes.tensorrt import Engine, fake_tensorrt
from n2b.runtime import Denoiser, Image, frames, read_image, write_image
from n2b.runtime.backends.tensorrt import backend
from n2b.runtime.model_info import ModelInfo

assert "dist-packages" in cv2.__file__ and "dist-packages" in np.__file__
cuda = FakeCuda()
sys.modules["tensorrt"] = fake_tensorrt("tensorrt", Engine(cuda, (1, 64, 64, 3)))
backend.find_gpu, backend.open_cuda = lambda _index: None, lambda _api, _index: cuda
engine = Path(sys.argv[1], "model.engine")
engine.write_bytes(b"plan")
info = ModelInfo("unet", precision="fp16", engine={"flavour": "tensorrt", "version": "1.7"})
engine.with_name("model.engine.json").write_text(info.to_json())
with Denoiser(engine) as denoise, closing(frames("videotestsrc ! video/x-raw,width=96,height=80")) as source:
    assert (denoise.backend, denoise.device) == ("tensorrt", "cuda:0")
    frame = next(source).pixels
    np.testing.assert_array_equal(denoise(frame), 255 - frame)
    for name in ("image.png", "image.tiff"):
        write_image(engine.with_name(name), Image(frame))
        np.testing.assert_array_equal(denoise(read_image(engine.with_name(name)).pixels), 255 - frame)
"""

WINDOW = """
import subprocess, sys, time
import numpy as np
from n2b.runtime.frame import Frame
from n2b.runtime.sinks.window import AFTER, VIEWS, WindowSink

dark, light = np.full((120, 160, 3), 40, np.uint8), np.full((120, 160, 3), 200, np.uint8)
sink = WindowSink("n2b test")

def show_until(condition):
    for _ in range(200):
        is_open = sink.write(Frame(dark, "0", 0, 0), light)
        if condition(is_open):
            return
        time.sleep(0.02)
    sys.exit("nothing happened")

def xdotool(*words):
    return subprocess.check_output(["xdotool", *map(str, words)], text=True).split()

show_until(lambda is_open: is_open and sink._shown_hw(120, 160) != (0, 0))
window = xdotool("search", "--sync", "--name", "n2b test")[-1]
xdotool("windowsize", "--sync", window, 640, 480)
show_until(lambda _: sink._shown_hw(120, 160)[1] > 400)
for _ in range(2):
    view = sink._view
    xdotool("key", "--window", window, "space")
    show_until(lambda _: sink._view != view)
assert VIEWS[sink._view] == AFTER
xdotool("key", "--window", window, "q")
for _ in range(200):  # no frame comes any more
    if not sink.poll():
        break
    time.sleep(0.02)
else:
    sys.exit("it was not ended")
sink.close()
"""


def run(program: str, tmp_path: Path, *prefix: str) -> None:
    """Run a program by the system's Python, in which n2b.runtime can be imported."""
    (tmp_path / "n2b").mkdir()
    (tmp_path / "n2b" / "runtime").symlink_to(Path(n2b.runtime.__file__).parent, target_is_directory=True)
    (tmp_path / "fakes").symlink_to(Path(__file__).parents[1] / "fakes", target_is_directory=True)
    environment = {"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(tmp_path)}
    ran = subprocess.run(
        [*prefix, SYSTEM_PYTHON, "-B", "-c", program, tmp_path],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr


def needs(condition: str, *programs: str) -> None:
    """Skip where the system's Python has no OpenCV of which this is true, or a program is absent."""
    probe = f"import re, cv2; assert re.search(r'{condition}', cv2.getBuildInformation())"
    try:
        subprocess.run([SYSTEM_PYTHON, "-c", probe], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the Debian package python3-opencv")
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}, of the Debian packages xvfb, xauth and xdotool")


def test_a_gstreamer_pipeline_gives_frames(tmp_path):
    needs(r"GStreamer:\s+YES")
    run(PIPELINE, tmp_path)


def test_an_engine_denoises_a_camera_as_on_a_jetson(tmp_path):
    """JetPack in small: the system's OpenCV and numpy, a pipeline of GStreamer; TensorRT is a stand-in."""
    needs(r"GStreamer:\s+YES")
    run(JETPACK, tmp_path)


def test_a_window_opens_takes_keys_and_follows_its_size(tmp_path):
    needs(r"GUI:\s+(?!NONE)", "xvfb-run", "xauth", "xdotool")
    run(WINDOW, tmp_path, "xvfb-run", "-a")
