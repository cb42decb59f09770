"""Network cameras: real local streams that stop and return."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from n2b.runtime.errors import DeviceError
from n2b.runtime.sources import capture, frames
from n2b.runtime.system.signals import Stop

from benchmarks.mjpeg_server import MjpegServer, read_number

RTSP_SERVER = Path(__file__).parents[1] / "fakes" / "rtsp_server.py"
SYSTEM_PYTHON = "/usr/bin/python3"
PATIENCE_S = 30


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.fixture
def stop() -> Stop:
    """Ends a test that would never end."""
    stop = Stop()
    stop.request_after(PATIENCE_S)
    return stop


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(source, condition):
    """The frames up to the first that meets a condition."""
    seen = []
    for frame in source:
        seen.append(frame)
        if condition(frame):
            return seen
    raise AssertionError(f"no such frame among {len(seen)}")


def test_an_mjpeg_stream_gives_its_frames_once_and_in_order(stop):
    with closing(MjpegServer(fps=60)) as server, closing(frames(server.url, stop=stop)) as source:
        seen = until(source, lambda frame: frame.index >= 20)
    numbers = [read_number(frame.pixels) for frame in seen]
    assert all(
        b - a == y.index - x.index for (a, b), (x, y) in zip(pairwise(numbers), pairwise(seen), strict=True)
    )
    assert seen[0].pixels.shape == (64, 128, 3)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("end", "status", "out"),
    [
        ("", 0, ""),
        ("sys.exit(3)", 3, ""),
        ("sources = [source, frames(sys.argv[1])]; sources.append(sources)", 0, ""),
        (
            "child = os.fork()\n"
            "if child: sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
            "try: [next(source) for _ in range(3)]\n"
            "except N2BError as error: print(error)",
            0,
            "was opened before fork(); open it in this process\n",
        ),
    ],
    ids=["end", "exit", "two in a circle", "fork"],
)
def test_a_camera_that_is_open_at_exit_does_not_abort_the_process(end, status, out):
    program = (
        "import os, sys\nfrom n2b.runtime.errors import N2BError\nfrom n2b.runtime.sources import frames\n"
        f"source = frames(sys.argv[1])\nnext(source)\n{end}"
    )
    with closing(MjpegServer(fps=60)) as server:
        ran = subprocess.run(
            [sys.executable, "-c", program, server.url],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert (ran.returncode, ran.stderr) == (status, "")
    assert ran.stdout.endswith(out)


def test_damaged_frames_of_a_stream_are_counted(stop):
    with closing(MjpegServer(fps=60)) as server, closing(frames(server.url, stop=stop)) as source:
        first = until(source, lambda frame: frame.index >= 5)[-1]
        server.spoil()
        last = until(source, lambda frame: frame.corrupt == 1)[-1]
    assert read_number(last.pixels) - read_number(first.pixels) == last.index - first.index + 1
    assert last.connection == 0


@pytest.mark.parametrize("kept", [0.3, 0.5, 0.9])
def test_frames_that_are_cut_are_counted_and_not_delivered(stop, kept):
    with closing(MjpegServer(fps=60)) as server, closing(frames(server.url, stop=stop)) as source:
        until(source, lambda frame: frame.index >= 5)
        server.kept = kept
        time.sleep(0.1)
        server.kept = 1
        seen = until(source, lambda frame: frame.corrupt >= 3 and frame.index >= 20)
    numbers = [read_number(frame.pixels) for frame in seen]
    assert numbers == sorted(set(numbers)) and numbers[-1] < 1000
    assert seen[-1].connection == 0


def test_a_server_that_restarts_is_connected_again(stop):
    server = MjpegServer(fps=60)
    with closing(frames(server.url, stop=stop)) as source:
        until(source, lambda frame: frame.index >= 5)
        server.close()
        with closing(MjpegServer(fps=60, height=96, width=160, port=server.port)):
            again = until(source, lambda frame: frame.connection == 1)
    assert again[-1].pixels.shape == (96, 160, 3)


def test_a_stream_continues_when_its_size_changes(stop):
    with closing(MjpegServer(fps=60)) as server, closing(frames(server.url, stop=stop)) as source:
        before = until(source, lambda frame: frame.index >= 5)[-1]
        server.size_hw = (96, 160)
        after = until(source, lambda frame: frame.index >= before.index + 20)
    assert [frame.connection for frame in after] == [0] * len(after)


def test_a_stream_without_frames_is_lost(stop, monkeypatch):
    monkeypatch.setattr(capture, "READ_TIMEOUT_MS", 300)
    with closing(MjpegServer(fps=60)) as server, closing(frames(server.url, stop=stop)) as source:
        until(source, lambda frame: frame.index >= 5)
        server.fps = 0.4  # a frame in 2.5 s
        time.sleep(0.1)
        silent = until(source, lambda frame: frame.connection == 1)
    assert silent


def test_an_address_without_a_server_is_refused_at_once():
    with pytest.raises(DeviceError, match=r"camera http://127.0.0.1:\d+/x does not open .* address is right"):
        frames(f"http://127.0.0.1:{free_port()}/x")


@contextmanager
def rtsp_server(port: int, width: int, height: int) -> Iterator[subprocess.Popen]:
    command = [SYSTEM_PYTHON, str(RTSP_SERVER), str(port), str(width), str(height)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None and server.stdout.readline() == "ready\n"
            yield server
        finally:
            server.kill()


@pytest.fixture(scope="session")
def needs_rtsp_server() -> None:
    probe = (
        "import gi; gi.require_version('GstRtspServer', '1.0')\n"
        "from gi.repository import GstRtspServer, Gst; Gst.init(None)\n"
        "assert Gst.ElementFactory.find('x264enc') and Gst.ElementFactory.find('rtph264pay')"
    )
    try:
        subprocess.run([SYSTEM_PYTHON, "-c", probe], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(
            "needs the Debian packages gir1.2-gst-rtsp-server-1.0, python3-gi, gstreamer1.0-plugins-good "
            "and gstreamer1.0-plugins-ugly"
        )


@pytest.mark.usefixtures("needs_rtsp_server")
def test_an_rtsp_camera_reconnects_with_another_size(stop, caplog):
    caplog.set_level("INFO")
    port = free_port()
    url = f"rtsp://127.0.0.1:{port}/noisy"
    with rtsp_server(port, 192, 128):
        source = frames(url, stop=stop)
        seen = until(source, lambda frame: frame.index >= 10)
        assert seen[-1].pixels.shape == (128, 192, 3) and seen[-1].pixels.std() > 20
    with rtsp_server(port, 160, 96), closing(source):  # closed before it can be lost again
        again = until(source, lambda frame: frame.connection == 1)
        until(source, lambda frame: frame.index >= again[-1].index + 5)
    assert again[-1].pixels.shape == (96, 160, 3)
    lost, back = caplog.messages
    assert f"camera {url} is lost" in lost and f"camera {url} is back" in back
