"""The live page over real sockets: what is served, to whom, and how it ends."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from http.client import RemoteDisconnected
from urllib.parse import urlsplit

import pytest
from n2b.runtime.controls import Controls
from n2b.runtime.errors import EnvironmentFault, MissingPackageError
from n2b.runtime.live_stats import StreamMeter
from n2b.runtime.preview import connection
from n2b.runtime.preview.access import Access
from n2b.runtime.preview.sink import PageSink

from .conftest import SOON_S, ask, get, is_served, page_threads, put, shown_images, wait_until

pytest.importorskip("websockets", reason="the package websockets is not installed")
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin


class TestFiles:
    def test_the_page_and_all_that_it_names_come_from_here(self, open_page):
        page = open_page()
        status, headers, html = get(page.url)
        assert status == 200 and headers["content-type"].startswith("text/html")
        for name in ("page.css", "page.js", "icon.svg"):
            assert name.encode() in html
            status, _, body = get(page.url + name)
            assert status == 200 and body
        assert b"https://" not in html + get(page.url + "page.js")[2] + get(page.url + "page.css")[2]

    def test_browsers_are_told_to_load_nothing_else_and_not_to_frame_it(self, open_page):
        _, headers, _ = get(open_page().url)
        assert headers["content-security-policy"].startswith("default-src 'self';")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"

    @pytest.mark.parametrize("path", ["page.html", "../server.py", "%2e%2e/server.py", "server.py", "live/x"])
    def test_other_paths_are_not_found(self, open_page, path):
        assert get(open_page().url + path)[0] == 404

    def test_only_reading_is_possible(self, open_page):
        page = open_page()
        with contextlib.suppress(RemoteDisconnected):  # the answer of websockets before release 17
            assert get(page.url, "POST")[0] == 405
        assert get(page.url)[0] == 200


class TestToken:
    def test_this_machine_alone_needs_none(self, open_page):
        assert "token" not in open_page().url

    def test_it_is_another_each_time(self, open_page):
        assert (
            open_page("0.0.0.0:0").url.partition("token=")[2]
            != open_page("0.0.0.0:0").url.partition("token=")[2]
        )

    @pytest.mark.parametrize(
        "path", ["", "?token=wrong", "page.js", "page.css", "icon.svg", "live", "nothing"]
    )
    def test_without_it_there_is_one_line_and_nothing_else(self, open_page, path):
        page = open_page("0.0.0.0:0")
        status, headers, body = get(f"{page.url.partition('?')[0]}{path}")
        assert status == 401
        assert "set-cookie" not in headers
        assert body.count(b"\n") == 1 and b"<" not in body

    def test_without_it_no_viewer_connects(self, open_page):
        place = urlsplit(open_page("0.0.0.0:0").url).netloc
        for headers in ({}, {"Cookie": f"n2b-{place.rpartition(':')[2]}=wrong"}):
            with pytest.raises(InvalidStatus) as refused:
                connect(
                    f"ws://{place}/live",
                    origin=Origin(f"http://{place}"),
                    additional_headers=headers,
                    proxy=None,
                )
            assert refused.value.response.status_code == 401

    def test_with_it_the_page_and_its_pictures_come(self, open_page, watch):
        page = open_page("0.0.0.0:0")
        put(page)
        viewer = watch(page)
        ask(viewer, next=100)
        assert shown_images(viewer)[:2] == (1, 0)


GET = "GET {} HTTP/1.1\r\nHost: x\r\n"
UPGRADE = GET.format("/live") + "Connection: Upgrade\r\nUpgrade: websocket\r\n"
KEY = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"


class TestMalformedRequests:
    """They come from anyone, without a token; none may fill the log."""

    @pytest.mark.parametrize("address", ["0", "0.0.0.0:0"])
    @pytest.mark.parametrize(
        "request_",
        [
            GET.format("//["),
            GET.format("http://[/"),
            GET.format("/?token=\xff"),
            GET.format("/live?token=%ed%a0%80#["),
            GET.format("*") + "Cookie: n2b-{port}=\xe9\r\n",
            GET.format("/\xff"),
            "GET / HTTP/1.1\r\nHost: [\r\n",
            "GET / HTTP/1.1\r\n",
            "GET / HTTP/9.9\r\nHost: x\r\n",
            "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n",
            "POST / HTTP/1.1\r\nContent-Length: -1\r\n",
            UPGRADE,
            UPGRADE + KEY + KEY,
            UPGRADE + KEY + "Origin: \xff\r\nSec-WebSocket-Extensions: ;;=\r\n",
            UPGRADE + KEY + "\r\n\xff\xff\xff\xff",  # no frame, before the answer
            "\x16\x03\x01\x02",
            "\xff" * 10_000,
        ],
    )
    def test_nothing_is_logged_and_the_page_is_served(self, open_page, caplog, address, request_):
        page = open_page(address)
        port = urlsplit(page.url).port or 0
        with socket.create_connection(("127.0.0.1", port), SOON_S) as client:
            client.sendall(request_.replace("{port}", str(port)).encode("latin-1") + b"\r\n")
            with contextlib.suppress(ConnectionResetError):
                while client.recv(4096):
                    pass
        assert is_served(page.url.replace(urlsplit(page.url).hostname or "", "127.0.0.1"))
        assert [record for record in caplog.records if record.exc_info or record.levelname == "ERROR"] == []

    def test_an_error_of_a_kind_is_logged_once_in_one_line(self, open_page, caplog, monkeypatch):
        def fail(*_: object, **__: object) -> None:
            raise ZeroDivisionError("a bug")

        monkeypatch.setattr(Access, "refusal", fail)
        (once,) = connection.websockets_logger().filters
        monkeypatch.setattr(once, "seen", set())
        page = open_page()
        assert [get(page.url)[0] for _ in range(3)] == [500] * 3
        assert [record.getMessage() for record in caplog.records] == [
            "the live page: process_request failed (ZeroDivisionError: a bug)"
        ]
        assert caplog.records[0].exc_info is None


class TestForeignPages:
    def test_a_name_that_points_here_does_not_open_it(self, open_page):
        assert get(open_page().url, Host="evil.example")[0] == 403

    @pytest.mark.parametrize("origin", [None, "http://evil.example", "null"])
    def test_a_page_from_elsewhere_cannot_watch(self, open_page, origin):
        place = urlsplit(open_page().url).netloc
        with pytest.raises(InvalidStatus) as refused:
            connect(f"ws://{place}/live", origin=origin and Origin(origin), proxy=None)
        assert refused.value.response.status_code == 403


NO_DESCRIPTORS = """
import asyncio.constants, os, resource, sys
from n2b.runtime.controls import Controls
from n2b.runtime.live_stats import StreamMeter
from n2b.runtime.preview.sink import PageSink
from n2b.runtime.system.console import log_to_stderr

log_to_stderr()
asyncio.constants.ACCEPT_RETRY_DELAY = 0.02
page = PageSink("0", Controls(), StreamMeter())
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
opened = []
try:
    while True:
        opened.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    print(page.url, flush=True)
sys.stdin.readline()
for number in opened:
    os.close(number)
print("free", flush=True)
sys.stdin.readline()
page.close()
"""


@pytest.mark.timeout(60)
def test_without_file_descriptors_one_line_is_logged_and_the_page_comes_back():
    pytest.importorskip("resource", reason="needs Unix, which limits file descriptors")
    with subprocess.Popen(
        [sys.executable, "-c", NO_DESCRIPTORS],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as run:  # fmt: skip
        assert run.stdin is not None and run.stdout is not None and run.stderr is not None
        url = run.stdout.readline().strip()
        for _ in range(5):
            with (
                pytest.raises(OSError),
                socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), SOON_S) as client,
            ):
                client.settimeout(0.1)  # several attempts of the page to accept it
                client.recv(1)
        warning = run.stderr.readline()
        print(file=run.stdin, flush=True)
        assert run.stdout.readline() == "free\n"
        wait_until(lambda: is_served(url))
        _, more = run.communicate("\n")
    assert warning == (
        "warning: the live page takes no more viewers: Too many open files; raise the limit (ulimit -n)\n"
    )
    assert more == ""
    assert run.returncode == 0


class TestEnd:
    def test_viewers_are_told_and_the_port_is_free_again(self, open_page, watch):
        page = open_page()
        port = urlsplit(page.url).port
        put(page)
        viewer = watch(page)
        ask(viewer, next=480)
        shown_images(viewer)
        page.close()
        page.close()
        with pytest.raises(ConnectionClosed) as closed:
            for _ in range(100):
                viewer.recv(SOON_S)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1001
        assert not page_threads()
        assert urlsplit(open_page(str(port)).url).port == port

    def test_a_connection_that_says_nothing_does_not_delay_it(self, open_page):
        page = open_page()
        place = urlsplit(page.url)
        with socket.create_connection((place.hostname or "", place.port or 0), SOON_S):
            page.close()
            assert not page_threads()

    def test_a_port_in_use_is_told_before_anything_starts(self, open_page):
        port = urlsplit(open_page().url).port
        with pytest.raises(EnvironmentFault, match="in use"):
            open_page(str(port))

    def test_without_the_package_the_extra_is_named(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "websockets.asyncio.server", None)
        with pytest.raises(
            MissingPackageError, match=r"websockets is not installed: pip install 'noise2blur\[serve\]'"
        ):
            PageSink("0", Controls(), StreamMeter())

    def test_what_scanners_send_is_not_told(self, open_page, capfd):
        page = open_page()
        place = urlsplit(page.url)
        with socket.create_connection((place.hostname or "", place.port or 0), SOON_S) as scanner:
            scanner.sendall(b"\x16\x03\x01 not HTTP\r\n\r\n")
            for _ in range(100):
                if not scanner.recv(4096):
                    break
        assert is_served(page.url)
        assert capfd.readouterr().err == ""
