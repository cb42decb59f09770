"""The examples, each run as a user would."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from n2b.runtime import Denoiser, Image, read_image, write_image
from n2b.runtime.images.metrics import psnr

EXAMPLES = Path(__file__).parents[2] / "examples"
HEIGHT, WIDTH, FRAMES, SIGMA = 96, 128, 5, 20


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def clean_image() -> np.ndarray:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([rows * 2, columns * 1.5, 200 - rows], axis=2).astype(np.uint8)


@pytest.fixture
def noisy() -> np.ndarray:
    noise = SIGMA * np.random.default_rng(0).standard_normal((HEIGHT, WIDTH, 3))
    return np.clip(clean_image() + noise, 0, 255).astype(np.uint8)


@pytest.fixture
def video(tmp_path: Path, noisy: np.ndarray) -> Path:
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (WIDTH, HEIGHT))
    for shift in range(FRAMES):
        writer.write(np.roll(noisy, shift, axis=1)[:, :, ::-1])
    writer.release()
    return path


def test_the_opencv_loop_writes_a_cleaner_video_in_the_same_colours(video: Path, noisy: np.ndarray) -> None:
    out = run(
        sys.executable, EXAMPLES / "opencv_loop.py", video, "-o", "clean.avi", "--model", "gaussian",
        cwd=video.parent,
    )  # fmt: skip
    assert out == f"{FRAMES} frames denoised\n"
    capture = cv2.VideoCapture(str(video.parent / "clean.avi"))
    frames = []
    while (found := capture.read())[0]:
        frames.append(found[1][:, :, ::-1])
    assert len(frames) == FRAMES
    assert (
        psnr(np.ascontiguousarray(frames[0]), clean_image()) > psnr(noisy, clean_image()) + 3
    )  # Motion JPEG thins the colours


def test_two_processes_share_frames(video: Path, noisy: np.ndarray) -> None:
    out = run(
        sys.executable, EXAMPLES / "two_processes.py", video, "-o", "clean", "--model", "gaussian",
        "--frames", 4,
        cwd=video.parent,
    )  # fmt: skip
    assert out == "4 frames denoised\n"
    paths = sorted((video.parent / "clean").iterdir())
    assert [path.name for path in paths] == [f"{i:06}.png" for i in range(4)]
    assert (
        psnr(read_image(paths[0]).pixels, clean_image()) > psnr(noisy, clean_image()) + 3
    )  # Motion JPEG thins the colours


_DRIVE_WINDOW = """
import sys, time, tkinter, importlib.util
import numpy as np
from n2b.runtime import Denoiser, read_image
spec = importlib.util.spec_from_file_location("window", sys.argv[1])
window = importlib.util.module_from_spec(spec)
spec.loader.exec_module(window)
noisy = read_image(sys.argv[2]).pixels
root = tkinter.Tk()
with Denoiser("gaussian") as denoise:
    shown = window.Window(root, denoise, noisy)
    for strength in (1, 0, 0.5):
        shown.strength.set(strength)
        root.update()
        while not shown.is_settled:
            root.update()
            time.sleep(0.01)
        right = denoise(noisy, strength)
        points = [(0, 0), (40, 70), (95, 127)]
        assert [shown.after.get(x, y) for y, x in points] == [tuple(right[p].tolist()) for p in points]
    shown.close()
print("driven", root.winfo_width(), root.winfo_height())
"""


@pytest.mark.skipif(
    importlib.util.find_spec("tkinter") is None, reason="tkinter (python3-tk) is not installed"
)
@pytest.mark.skipif(shutil.which("xvfb-run") is None, reason="xvfb is not installed")
def test_the_window_shows_what_the_slider_asks_for(tmp_path: Path, noisy: np.ndarray) -> None:
    write_image(tmp_path / "noisy.png", Image(noisy))
    out = run(
        "xvfb-run", "-a", sys.executable, "-c", _DRIVE_WINDOW, EXAMPLES / "window.py", tmp_path / "noisy.png",
        cwd=tmp_path,
    )  # fmt: skip
    found = re.fullmatch(r"driven (\d+) (\d+)\n", out)
    assert found is not None
    assert int(found[1]) >= 2 * WIDTH and int(found[2]) >= HEIGHT


@pytest.fixture
def service() -> Iterator[str]:
    """The address of the service, started as its first lines say."""
    for package in ("fastapi", "uvicorn"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    command = [sys.executable, "-m", "uvicorn", "--app-dir", EXAMPLES, "web_service:app", "--port", "0"]
    with subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        address = next(
            found[1] for line in process.stderr if (found := re.search(r"running on (http://\S+)", line))
        )
        yield address
        process.terminate()


def post(address: str, data: bytes) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, data)) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_the_web_service_denoises_and_refuses(service: str, tmp_path: Path, noisy: np.ndarray) -> None:
    write_image(tmp_path / "noisy.png", Image(noisy))
    data = (tmp_path / "noisy.png").read_bytes()
    status, clean = post(f"{service}/denoise?strength=0.7", data)
    assert status == 200
    (tmp_path / "clean.png").write_bytes(clean)
    with Denoiser("gaussian") as denoise:  # which need not be run by the same library as there
        assert psnr(read_image(tmp_path / "clean.png").pixels, denoise(noisy, 0.7)) > 45

    status, reason = post(f"{service}/denoise", b"no image")
    assert status == 422 and b"PNG, JPEG" in reason
    assert post(f"{service}/denoise?strength=2", data)[0] == 422


def test_every_example_has_a_test() -> None:
    names = {path.name for path in EXAMPLES.glob("*.py")} - {"demo.py"}  # which has a file of its own
    assert names == {"opencv_loop.py", "two_processes.py", "web_service.py", "window.py"}


EXECUTE = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], 4)
nbclient.NotebookClient(notebook, timeout=250).execute()
for cell in notebook.cells:
    for output in cell.get("outputs", []):
        print(output.get("text", ""))
"""


@pytest.mark.slow
def test_the_notebook_trains_exports_and_denoises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("N2B_MINUTES", "0.03")
    monkeypatch.setenv("N2B_SIDE_PX", "256")
    monkeypatch.setenv("N2B_WORK", str(tmp_path))
    # In a process of its own: a notebook's client handles Ctrl-C
    printed = run(sys.executable, "-c", EXECUTE, EXAMPLES / "own_model.ipynb", cwd=tmp_path)
    match = re.search(r"([\d.]+) dB → ([\d.]+) dB$", printed, re.MULTILINE)
    assert match and float(match[2]) > float(match[1]) + 1
    assert (tmp_path / "denoised.png").exists()
