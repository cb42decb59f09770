"""The newest frame of a camera, with a fake of OpenCV's captures."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import closing
from itertools import pairwise

import cv2
import pytest
from n2b.runtime.errors import DeviceError
from n2b.runtime.sources import camera_frames, frames
from n2b.runtime.sources.live import LiveCamera, Timing
from n2b.runtime.system.signals import Stop

from ..fakes.cameras import CORRUPT, GOOD, NOTHING, Capture


def take(source, count):
    return [next(source) for _ in range(count)]


def test_frames_are_rgb_with_their_capture_time(cameras):
    fakes = cameras([GOOD] * 1000)
    with closing(frames("7")) as source:
        first, second = take(source, 2)
    assert first.pixels.shape == (4, 6, 3) and first.pixels[0, 0, 0] == 200
    assert (first.source, first.connection) == ("7", 0)
    assert 0 < first.timestamp_ns < second.timestamp_ns <= time.monotonic_ns()
    assert fakes.opened == [(7, cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY)]
    assert fakes.released == 1


def test_a_slow_consumer_gets_the_newest_frame_and_dropped_frames_are_counted(cameras):
    cameras([GOOD] * 1000)
    with closing(frames(0)) as source:
        start = next(source)
        time.sleep(0.1)
        late = next(source)
    played = int(late.pixels[0, 0, 1]) - int(start.pixels[0, 0, 1])
    assert late.index - start.index == played > 5
    assert time.monotonic_ns() - late.captured_ns < 5e9


def test_frames_before_the_first_request_are_not_counted(cameras):
    cameras([CORRUPT, CORRUPT, *[GOOD] * 1000])
    with closing(frames(0)) as source:
        time.sleep(0.05)
        first = next(source)
        assert (first.index, first.corrupt) == (0, 0)
        assert next(source).index >= 1


def test_frames_that_cannot_be_decoded_are_skipped_and_counted(cameras):
    cameras([GOOD] * 20 + [CORRUPT, NOTHING, CORRUPT] + [GOOD] * 3 + [NOTHING] + [GOOD] * 1000)
    with closing(frames(0)) as source:
        seen = [next(source)]
        while seen[-1].corrupt < 4:
            seen.append(next(source))
    assert seen[0].corrupt == 0
    played = int(seen[-1].pixels[0, 0, 1]) - int(seen[0].pixels[0, 0, 1])
    assert played == seen[-1].index - seen[0].index + 4
    assert seen[-1].connection == 0


def test_a_lost_camera_is_opened_again_until_it_is_back(cameras, caplog):
    caplog.set_level("INFO")
    fakes = cameras([GOOD] * 30, None, [], None, [GOOD] * 1000)
    fakes.size_hw = [(4, 6), (4, 6), (4, 6), (4, 6), (8, 10)]
    seen = []
    with closing(frames(0)) as source:
        while not seen or seen[-1].connection == 0:
            seen.append(next(source))
        again = next(source)
    assert [frame.connection for frame in seen[:-1]] == [0] * (len(seen) - 1)
    assert (seen[-1].connection, again.connection) == (1, 1)
    assert seen[-1].pixels.shape == (8, 10, 3)
    assert all(a.index < b.index for a, b in pairwise([*seen, again]))
    assert len(fakes.opened) == 5 and fakes.released == 5
    lost, back = caplog.messages
    assert lost == "camera 0 is lost; reconnecting"
    assert back.startswith("camera 0 is back after ")


def test_the_delay_between_attempts_grows(cameras, monkeypatch):
    waits = []
    cameras([GOOD], None, None, None, None, [GOOD] * 1000)
    monkeypatch.setattr(LiveCamera, "timing", Timing(first_delay_s=0.001, last_delay_s=0.004))
    wait = threading.Event.wait

    def noted(event, seconds=None):
        if threading.current_thread().name.startswith("camera"):
            waits.append(seconds)
        return wait(event, seconds)

    monkeypatch.setattr(threading.Event, "wait", noted)
    with closing(frames(0)) as source:
        while next(source).connection == 0:
            pass
    assert waits == [0.001, 0.002, 0.004, 0.004, 0.004]


def test_a_lost_camera_does_not_delay_a_stop(cameras):
    cameras([GOOD], None)
    stop = Stop()
    with closing(frames(0, stop=stop)) as source:
        next(source)
        asker = threading.Timer(0.1, stop.request)
        asker.start()
        assert list(source) == []
        asker.join()


def test_closing_ends_a_wait_for_a_frame(cameras):
    cameras([GOOD], None)
    source = frames(0)
    next(source)
    closer = threading.Timer(0.1, source.close)
    closer.start()
    assert list(source) == []
    closer.join()


def test_a_lost_camera_is_an_error_without_reconnecting(cameras):
    cameras([GOOD] * 5)
    with closing(camera_frames(7)) as source, pytest.raises(DeviceError, match="camera 7 stopped after 5 fr"):
        while True:
            next(source)


@pytest.mark.parametrize("script", [None, [], [NOTHING] * 50, [CORRUPT] * 50])
def test_a_camera_without_frames_is_refused_at_once(cameras, script):
    fakes = cameras(script)
    with pytest.raises(DeviceError, match="camera 7 does not open or yields no frame"):
        frames(7)
    assert len(fakes.opened) == 1


def test_a_camera_that_hangs_does_not_delay_closing(cameras, monkeypatch, caplog):
    released = threading.Event()
    cameras([GOOD] * 3)
    monkeypatch.setattr(LiveCamera, "timing", Timing(close_s=0.05))
    monkeypatch.setattr(Capture, "release", lambda _: released.wait(10))
    source = frames(0)
    time.sleep(0.05)
    source.close()
    assert "camera 0 does not respond; it is released at exit" in caplog.text
    released.set()
    for thread in threading.enumerate():
        if thread.name == "camera 0":
            thread.join(10)


def test_opening_a_camera_times_out(cameras, monkeypatch):
    released = threading.Event()
    fakes = cameras(None)
    monkeypatch.setattr(LiveCamera, "timing", Timing(open_s=0.05, close_s=0.05))
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: released.wait(10) and fakes(*_))
    with pytest.raises(DeviceError, match=r"camera 7 does not open .*waited 0\.05 s"):
        frames(7)
    released.set()
    for thread in threading.enumerate():
        if thread.name == "camera 7":
            thread.join(10)
