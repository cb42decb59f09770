"""Read MJPEG, snapshots and the state from the live page, as other programs do."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
from n2b.runtime.controls import Controls
from n2b.runtime.errors import UserError
from n2b.runtime.live_stats import StreamMeter
from n2b.runtime.preview.sink import Page, PageSink

from ..fakes.ticking import ticking
from .conftest import SOON_S, decoded, get, put, wait_until

pytest.importorskip("websockets", reason="the package websockets is not installed")


def moving(page: PageSink) -> contextlib.AbstractContextManager[None]:
    """Frames of 64×48 px, each brighter than the one before, until the block ends."""
    return ticking(lambda index: put(page, index, np.full((48, 64, 3), 10 * (index % 25), np.uint8)))


def opened(page: PageSink, path: str = "stream.mjpg") -> socket.socket:
    place = urlsplit(page.url)
    client = socket.create_connection((place.hostname or "", place.port or 0), SOON_S)
    client.sendall(f"GET /{path} HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n".encode())
    return client


def head(client: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += client.recv(1024) or pytest.fail("it was closed")
    return data


def ffmpeg_luma(url: str, frames: int) -> np.ndarray:
    """Return the mean of each frame that FFmpeg reads."""
    command = ["ffmpeg", "-v", "error", "-i", url, "-frames:v", str(frames)]
    read = subprocess.run(
        [*command, "-pix_fmt", "gray", "-f", "rawvideo", "-"], capture_output=True, timeout=60, check=True
    )
    return np.frombuffer(read.stdout, np.uint8).reshape(frames, -1).mean(axis=1)


class TestStream:
    def test_ffmpeg_reads_frames_that_move(self, open_page):
        page = open_page()
        with moving(page):
            means = ffmpeg_luma(page.url + "stream.mjpg", 5)
        assert len(set(means.round())) == 5

    def test_opencv_reads_it(self, open_page):
        page = open_page()
        with moving(page):
            capture = cv2.VideoCapture(page.url + "stream.mjpg", cv2.CAP_FFMPEG)
            is_read, pixels = capture.read()
            capture.release()
        assert is_read and pixels.shape == (48, 64, 3)

    def test_a_width_makes_it_smaller(self, open_page):
        page = open_page()
        put(page, 0, np.zeros((40, 1000, 3), np.uint8))
        assert decoded(get(page.url + "snapshot.jpg?width=300")[2]).shape == (19, 480, 3)
        assert decoded(get(page.url + "snapshot.jpg?width=x")[2]).shape == (40, 1000, 3)

    def test_it_needs_the_token_and_a_known_host(self, open_page):
        page = open_page("0.0.0.0:0")
        place, _, query = page.url.partition("?")
        put(page)
        for path in ("stream.mjpg", "snapshot.jpg", "status.json"):
            assert get(place + path)[0] == 401
            assert get(f"{place}{path}?{query}", Host="evil.example")[0] == 403
        assert get(f"{place}snapshot.jpg?{query}")[0] == 200

    @pytest.mark.parametrize("path", ["stream.mjpg", "snapshot.jpg", "status.json"])
    def test_foreign_pages_in_a_browser_may_not_read_it(self, open_page, path):
        page = open_page()
        put(page)
        assert get(page.url + path, **{"Sec-Fetch-Site": "cross-site"})[0] == 403
        assert get(page.url + path, **{"Sec-Fetch-Site": "same-site"})[0] == 403

    def test_a_client_that_reads_nothing_holds_up_nobody(self, open_page):
        page = open_page()
        noise = np.random.default_rng(0).integers(0, 256, (600, 800, 3), np.uint8)
        with opened(page) as slow, opened(page) as quick:
            sent = 0
            for index in range(60):  # far more than the buffers hold
                started = time.monotonic()
                put(page, index, noise)
                assert time.monotonic() - started < SOON_S
                while sent < (index + 1) * 10_000:
                    sent += len(quick.recv(1 << 20))
            slow.shutdown(socket.SHUT_RDWR)
        assert sent >= 600_000

    def test_programs_have_places_of_their_own_and_give_them_back(self, open_page, watch):
        page = open_page(max_viewers=1)
        put(page)
        watch(page)
        with opened(page) as first:
            assert b"200 OK" in head(first)
            status, _, reason = get(page.url + "stream.mjpg")
            assert status == 503 and b"1 program is watching" in reason
        with opened(page) as second:
            wait_until(lambda: page._server._streams <= 1)
            assert head(second)
        wait_until(lambda: page._server._streams == 0)

    def test_what_a_client_sends_later_is_ignored(self, open_page):
        page = open_page()
        put(page)
        with opened(page) as client:
            head(client)
            client.sendall(b"GET / HTTP/1.1\r\n\r\n" * 100)
            put(page, 1)
            assert client.recv(1)

    def test_it_ends_with_the_page(self, open_page):
        page = open_page()
        put(page)
        with opened(page) as client:
            head(client)
            page.close()
            client.settimeout(SOON_S)
            with contextlib.suppress(ConnectionResetError):
                while client.recv(65536):
                    pass


class TestSnapshot:
    def test_it_is_the_newest_denoised_frame(self, open_page):
        page = open_page()
        put(page, 0, np.full((48, 64, 3), 50, np.uint8))
        status, headers, image = get(page.url + "snapshot.jpg")
        assert status == 200 and headers["content-type"] == "image/jpeg"
        assert abs(decoded(image).mean() - 205) < 2

    def test_without_a_frame_there_is_none(self, open_page):
        status, _, reason = get(open_page().url + "snapshot.jpg")
        assert status == 503 and b"no frame from the camera" in reason


class TestCameras:
    def test_each_has_its_own_addresses(self):
        with contextlib.closing(Page("0")) as page:
            views = [page.camera(name, Controls(), StreamMeter()) for name in ("door", "yard")]
            for value, view in enumerate(views):
                put(view, 0, after=np.full((30, 40, 3), 100 + 50 * value, np.uint8))
            for value, name in ((100, "door"), (150, "yard"), (100, None)):
                query = f"?camera={name}" if name else ""
                assert abs(decoded(get(f"{page.url}snapshot.jpg{query}")[2]).mean() - value) < 2
            status, _, reason = get(page.url + "stream.mjpg?camera=cellar")
            assert status == 404 and b"door, yard" in reason
            cameras = json.loads(get(page.url + "status.json")[2])["cameras"]
            assert [one["name"] for one in cameras] == ["door", "yard"]
            assert cameras[0]["strength"] == 1 and cameras[0]["frames"] == 0

    def test_without_any_there_is_no_stream(self):
        with contextlib.closing(Page("0")) as page:
            assert get(page.url + "stream.mjpg")[0] == 503


class TestToken:
    def test_it_is_the_same_at_the_next_start(self, tmp_path):
        urls = []
        for _ in range(2):
            with contextlib.closing(Page("0.0.0.0:0", token_file=tmp_path / "token")) as page:
                urls.append(page.url.partition("?")[2])
        assert urls[0] == urls[1] == f"token={(tmp_path / 'token').read_text().strip()}"
        assert (tmp_path / "token").stat().st_mode & 0o077 == 0

    def test_any_other_file_is_refused(self, tmp_path):
        (tmp_path / "token").write_text("short")
        with pytest.raises(UserError, match="not the file of a token"):
            Page("0", token_file=tmp_path / "token")
        with pytest.raises(UserError, match="name another file"):
            Page("0", token_file=tmp_path)
