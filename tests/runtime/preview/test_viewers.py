"""Viewers of the live page get their frames, and disturb nobody."""

from __future__ import annotations

import contextlib
import socket
from urllib.parse import urlsplit

import numpy as np
import pytest
from n2b.runtime.controls import Controls
from n2b.runtime.frame import Frame
from n2b.runtime.live_stats import StreamMeter
from n2b.runtime.preview import live, viewer
from n2b.runtime.preview.messages import Pair, pair_message

from .conftest import (
    RANDOM,
    SOON_S,
    ask,
    bytes_left,
    deaf_viewer,
    decoded,
    get,
    is_served,
    numbers,
    page_threads,
    put,
    shown_images,
    viewer_count,
    wait_until,
)

pytest.importorskip("websockets", reason="the package websockets is not installed")
from websockets.exceptions import ConnectionClosed, InvalidStatus


class TestPictures:
    def test_before_and_after_are_of_one_frame_and_the_newest(self, open_page, watch):
        page = open_page()
        viewer = watch(page)
        ask(viewer, next=400)
        for index, level in enumerate((10, 90, 170)):
            put(page, index, np.full((30, 40, 3), level, np.uint8))
        seen = []
        while not seen or seen[-1] != 2:
            _, number, first, second = shown_images(viewer)
            before, after = (decoded(part).mean() for part in (first, second))
            assert before == pytest.approx((10, 90, 170)[number], abs=2)
            assert before + after == pytest.approx(255, abs=3)
            seen.append(number)
            ask(viewer, next=400)
        assert seen == sorted(set(seen))

    def test_nothing_comes_that_was_not_asked_for(self, open_page, watch):
        page = open_page()
        viewer = watch(page)
        for index in range(5):
            put(page, index)
        ask(viewer, next=400)
        shown_images(viewer)
        for index in (5, 6, 7):  # numbers come, and no images between them
            put(page, index)
            assert isinstance(viewer.recv(SOON_S), str)

    def test_a_frame_is_encoded_once_for_all(self, open_page, watch, monkeypatch):
        encoded = []
        encode = live.pair_message
        monkeypatch.setattr(live, "pair_message", lambda *which: encoded.append(which) or encode(*which))
        page = open_page()
        put(page, 3)
        for each in [watch(page) for _ in range(3)]:
            ask(each, next=400)
            assert shown_images(each)[1] == 3
        assert len(encoded) == 1

    def test_without_viewers_nothing_is_encoded(self, open_page, monkeypatch):
        monkeypatch.setattr(live, "pair_message", pytest.fail)
        page = open_page()
        for index in range(50):
            put(page, index)

    def test_a_snapshot_is_the_frame_on_show_in_full_size(self, open_page, watch):
        page = open_page()
        shown = RANDOM.integers(0, 256, (50, 600, 3), np.uint8)
        put(page, 11, after=shown, before=shown)
        viewer = watch(page)
        ask(viewer, next=480)
        shown_images(viewer)
        put(page, 12)
        ask(viewer, snapshot=True)
        kind, number, png, _ = shown_images(viewer)
        assert (kind, number) == (2, 11)
        assert np.array_equal(decoded(png)[..., ::-1], shown)

    def test_a_snapshot_comes_also_while_the_camera_is_silent(self, open_page, watch):
        page = open_page()
        put(page, 4)
        viewer = watch(page)
        ask(viewer, next=480)
        shown_images(viewer)
        ask(viewer, next=480)  # as the page does, for a frame that does not come
        ask(viewer, snapshot=True)
        assert shown_images(viewer)[:2] == (2, 4)
        put(page, 5)
        assert shown_images(viewer)[:2] == (1, 5)


class TestNumbersAndControls:
    def test_numbers_are_the_stream_s(self, open_page, watch):
        meter = StreamMeter()
        meter.model = "camera, openvino in int8"
        page = open_page(meter=meter, controls=Controls(0.25))
        noisy = np.clip(128 + RANDOM.normal(0, 20, (200, 300, 3)), 0, 255).astype(np.uint8)
        meter.add(Frame(noisy, "camera", 4, 0, 0, connection=2), 30_000_000)
        viewer = watch(page)
        found = numbers(viewer)
        assert (found["frames"], found["dropped"], found["reconnects"]) == (1, 4, 2)
        assert found["model"] == "camera, openvino in int8"
        assert (found["width"], found["height"]) == (300, 200)
        assert found["latency_p50_ms"] == found["latency_p99_ms"] == pytest.approx(30)
        assert (found["strength"], found["noise"]) == (0.25, None)
        put(page, 4, noisy, np.full_like(noisy, 128))
        ask(viewer, next=480)
        wait_until(lambda: numbers(viewer)["noise"] is not None)
        noise = numbers(viewer)["noise"]
        assert noise == [pytest.approx(20, rel=0.1), 0]

    def test_strength_is_set_and_told_to_all(self, open_page, watch):
        controls = Controls()
        page = open_page(controls=controls)
        one, other = watch(page), watch(page)
        ask(one, strength=0.5)
        wait_until(lambda: controls.strength == 0.5)
        wait_until(lambda: numbers(other)["strength"] == 0.5)

    @pytest.mark.parametrize(
        "message",
        ['{"strength": 1.1}', '{"strength": -0.1}', '{"strength": NaN}', '{"strength": "0.5"}',
         '{"strength": true}', '{"next": 0}', '{"next": 1e9}', '{"snapshot": 1}', "{}", "[]", "1", "", "{",
         '{"stop": true}', b"\xff", '{"strength": 0, "next": 1}', "[" * 1000],
    )  # fmt: skip
    def test_other_messages_end_the_connection_and_change_nothing(self, open_page, watch, message):
        controls = Controls(0.75)
        viewer = watch(open_page(controls=controls))
        viewer.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            for _ in range(100):
                viewer.recv(SOON_S)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1008
        assert controls.strength == 0.75

    def test_a_long_message_ends_the_connection(self, open_page, watch):
        viewer = watch(open_page())
        viewer.send("1" * 2000)
        with pytest.raises(ConnectionClosed) as closed:
            for _ in range(100):
                viewer.recv(SOON_S)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009


class TestLimits:
    def test_no_more_viewers_than_allowed_and_the_next_when_one_leaves(self, open_page, watch):
        page = open_page(max_viewers=2)
        first, _ = watch(page), watch(page)
        with pytest.raises(InvalidStatus) as refused:
            watch(page)
        assert refused.value.response.status_code == 503
        status, _, line = get(page.url + "live")
        assert (status, line) == (503, b"2 viewers are watching, which is the limit\n")
        first.close()
        wait_until(lambda: get(page.url + "live")[0] != 503)
        ask(watch(page), strength=1)

    def test_more_connections_than_a_few_pages_need_are_cut(self, open_page):
        page = open_page()
        place = urlsplit(page.url)
        with contextlib.ExitStack() as opened:
            idle = [
                opened.enter_context(
                    socket.create_connection((place.hostname or "", place.port or 0), SOON_S)
                )
                for _ in range(65)
            ]
            with contextlib.suppress(ConnectionResetError):
                assert idle[0].recv(1) == b""
        wait_until(lambda: is_served(page.url))

    @pytest.mark.parametrize("begun", ["", "GET /live HTTP/1.1\r\nHost: ", "G"])
    def test_idle_connections_do_not_lock_viewers_out(self, open_page, watch, begun):
        page = open_page()
        place = urlsplit(page.url)
        before = watch(page)
        with contextlib.ExitStack() as opened:
            for _ in range(150):
                idle = socket.create_connection((place.hostname or "", place.port or 0), SOON_S)
                opened.enter_context(idle).sendall(begun.encode())
            for index, viewer in enumerate((before, watch(page), watch(page))):
                put(page, index)
                ask(viewer, next=480)
                assert shown_images(viewer)[:2] == (1, index)
            assert get(page.url)[0] == 200

    @pytest.mark.parametrize(
        "frame",
        [
            bytes([0x81, 0x80 | 15]) + bytes(4) + b'{"strength": 1}',
            bytes([0x89, 0x80 | 125]) + bytes(4) + bytes(125),  # a ping
            bytes([0x8A, 0x80 | 125]) + bytes(4) + bytes(125),  # a pong
        ],
        ids=["message", "ping", "pong"],
    )
    def test_one_that_floods_is_read_slowly_and_the_others_get_their_frames(self, open_page, watch, frame):
        page = open_page()
        healthy = watch(page)
        put(page, 0)
        with deaf_viewer(page) as flood:
            flood.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
            flood.settimeout(0.3)
            with pytest.raises((TimeoutError, ConnectionError)):  # it is not read, or disconnected
                for _ in range(1000):
                    flood.sendall(frame * (10_000 // len(frame)))
            for index in range(1, 5):
                put(page, index)
                ask(healthy, next=480)
                while shown_images(healthy)[1] < index:
                    ask(healthy, next=480)

    def test_snapshots_asked_for_at_once_are_one(self, open_page, watch, monkeypatch):
        monkeypatch.setattr(viewer, "SNAPSHOT_EVERY_S", 2 * SOON_S)
        encoded = []
        encode = live.snapshot_message
        monkeypatch.setattr(live, "snapshot_message", lambda pair: encoded.append(pair) or encode(pair))
        page = open_page()
        put(page, 0)
        hasty = watch(page)
        ask(hasty, next=480)
        shown_images(hasty)
        for _ in range(20):
            ask(hasty, snapshot=True)
        assert shown_images(hasty)[:2] == (2, 0)
        put(page, 1)
        ask(hasty, next=480)
        assert shown_images(hasty)[:2] == (1, 1)
        assert len(encoded) == 1

    def test_a_viewer_that_never_reads_slows_nothing_and_is_dropped(self, open_page, watch, monkeypatch):
        monkeypatch.setattr(viewer, "SEND_TIMEOUT_S", 0.5)
        page = open_page(max_viewers=2)
        large = RANDOM.integers(0, 256, (1500, 1920, 3), np.uint8)  # more than the sockets' buffers hold
        deaf = deaf_viewer(page)
        put(page, 0, large)
        healthy = watch(page)
        for index in range(1, 40):
            put(page, index)
            ask(healthy, next=480)
            while shown_images(healthy)[1] < index:
                ask(healthy, next=480)
        wait_until(lambda: viewer_count(page) == 1)
        with deaf:
            assert bytes_left(deaf) < len(pair_message(Pair(0, large, 255 - large), 1920))
        put(page, 40)
        ask(healthy, next=480)
        assert shown_images(healthy)[1] == 40

    def test_it_does_not_keep_the_program_from_ending(self, open_page):
        page = open_page()
        put(page, 0, RANDOM.integers(0, 256, (1500, 1920, 3), np.uint8))
        with deaf_viewer(page):
            wait_until(lambda: viewer_count(page) == 1)
            page.close()
            assert not page_threads()
