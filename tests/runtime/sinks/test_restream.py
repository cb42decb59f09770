"""Publishing to a real RTSP server, and what is said when it refuses or is lost."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from n2b.runtime.errors import EnvironmentFault, UserError
from n2b.runtime.frame import Frame
from n2b.runtime.sinks import RestreamSink

from ..fakes.ticking import ticking

av = pytest.importorskip("av", reason="the package av is not installed")

RELAY = Path(__file__).parents[1] / "fakes" / "rtsp_relay.py"
PATIENCE_S = 30.0


@pytest.fixture(scope="module")
def gstreamer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The system's Python, if GStreamer can serve RTSP with it; its list of plugins is made once."""
    check = "import gi; gi.require_version('GstRtspServer', '1.0')"
    python = "/usr/bin/python3"
    try:
        subprocess.run([python, "-c", check], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(
            "needs the Debian packages gir1.2-gst-rtsp-server-1.0, python3-gi and gstreamer1.0-plugins-*"
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GST_REGISTRY", str(tmp_path_factory.mktemp("gstreamer") / "registry.bin"))
        yield python


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(type=kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def relay(python: str, port: int, *login: str) -> Iterator[str]:
    """A server that plays what is published at /camera; gives the address to read."""
    udp_port = free_port(socket.SOCK_DGRAM)
    command = [python, str(RELAY), str(port), str(udp_port), *login]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None and server.stdout.readline() == "ready\n"
            yield f"rtsp://127.0.0.1:{port}/play"
        finally:
            server.kill()


def moving(sink: RestreamSink, height: int = 48, width: int = 64) -> AbstractContextManager[None]:
    """Frames of slowly changing grey, 50 a second, until the block ends."""

    def write(index: int) -> None:
        pixels = np.full((height, width, 3), 50 + index % 150, np.uint8)
        sink.write(Frame(pixels, "camera", index, 0, time.monotonic_ns()), pixels)

    return ticking(write)


def wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def ffmpeg_frames(url: str, frames: int, height: int, width: int) -> np.ndarray:
    command = ["ffmpeg", "-v", "error", "-analyzeduration", "500000", "-rtsp_transport", "tcp", "-i", url]
    read = subprocess.run(
        [*command, "-frames:v", str(frames), "-pix_fmt", "gray", "-f", "rawvideo", "-"],
        capture_output=True,
        timeout=60,
        check=True,
    )
    return np.frombuffer(read.stdout, np.uint8).reshape(frames, height, width)


class TestServer:
    def test_ffmpeg_reads_what_is_published_to_an_rtsp_server_and_again_after_it_restarts(
        self, gstreamer, caplog
    ):
        caplog.set_level("INFO", "n2b")
        port = free_port()
        with closing(RestreamSink(f"rtsp://user:secret@127.0.0.1:{port}/camera")) as sink:
            with moving(sink, 49, 65):
                wait_until(lambda: "no server listens there" in caplog.text)
                with relay(gstreamer, port) as url:
                    wait_until(lambda: sink.sent > 5)
                    frames = ffmpeg_frames(url, 5, 48, 64)  # even sides
                wait_until(lambda: "trying again" in caplog.messages[-1])
                sent = sink.sent
                with relay(gstreamer, port):
                    wait_until(lambda: sink.sent > sent)
            assert sink.reconnects == 1 and sink.dropped > 0
        means = frames.mean(axis=(1, 2))
        assert (np.diff(means) > 0).sum() >= 3 and means.min() > 40
        assert "sending 65×49 px" in caplog.text and "secret" not in caplog.text

    def test_frames_of_another_size_go_on_in_a_new_stream(self, gstreamer, caplog):
        caplog.set_level("INFO", "n2b")
        port = free_port()
        with relay(gstreamer, port), closing(RestreamSink(f"rtsp://127.0.0.1:{port}/camera")) as sink:
            with moving(sink, 48, 64):
                wait_until(lambda: sink.sent)
            with moving(sink, 96, 64):
                wait_until(lambda: "sending 64×96 px" in caplog.text)
        assert sink.reconnects == 0

    @pytest.mark.parametrize(
        ("login", "name", "reason"),
        [("user:wrong", "camera", r"user name or password \(401\)"), ("user:secret", "none", r"\(404\)")],
    )
    def test_a_refusal_is_reported_once_without_the_password(self, gstreamer, caplog, login, name, reason):
        port = free_port()
        server = relay(gstreamer, port, "user", "secret")
        with server, closing(RestreamSink(f"rtsp://{login}@127.0.0.1:{port}/{name}")) as sink, moving(sink):
            wait_until(lambda: sink.dropped > 60)  # two attempts
        (message,) = [one for one in caplog.messages if "trying again" in one]
        assert re.search(reason, message) and "user:" not in message and sink.sent == 0


class TestAddress:
    @pytest.mark.parametrize("address", ["http://u:secret@host/x", "out.mp4", "rtsp:host", "rtsp://"])
    def test_one_that_takes_no_stream_is_refused(self, address):
        with pytest.raises(UserError, match="cannot send the stream to") as refused:
            RestreamSink(address)
        assert "secret" not in str(refused.value)

    def test_a_protocol_that_av_lacks_is_refused_or_tried(self):
        try:
            RestreamSink("srt://127.0.0.1:9").close()
        except EnvironmentFault as error:
            assert "cannot send srt" in str(error)

    def test_without_a_frame_nothing_is_connected(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(0.2)
            sink = RestreamSink(f"rtmp://127.0.0.1:{server.getsockname()[1]}/live/camera")
            with closing(sink), pytest.raises(TimeoutError):
                server.accept()

    def test_a_server_that_does_not_answer_holds_up_nothing(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            sink = RestreamSink(f"rtsp://127.0.0.1:{server.getsockname()[1]}/camera")
            pixels = np.zeros((48, 64, 3), np.uint8)
            for index in range(100):
                assert sink.write(Frame(pixels, "camera", index, 0, 1), pixels)
            server.accept()[0].close()
            sink.close()
            assert sink.dropped >= 98
