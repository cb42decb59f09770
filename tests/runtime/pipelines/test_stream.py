"""Denoising a stream of frames into sinks."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from n2b.runtime import Denoiser
from n2b.runtime.controls import Controls
from n2b.runtime.frame import Frame
from n2b.runtime.live_stats import StreamMeter
from n2b.runtime.pipelines.stream import denoise_stream
from n2b.runtime.system.signals import Stop


class Notes:
    """A sink that notes what it gets, and wants no more than so many."""

    def __init__(self, most: int = 1000) -> None:
        self.most = most
        self.got: list[tuple[int, int, int]] = []  # index, a value before, the same after

    def write(self, frame: Frame, denoised: np.ndarray, /) -> bool:
        self.got.append((frame.index, int(frame.pixels[0, 0, 0]), int(denoised[0, 0, 0])))
        return len(self.got) < self.most

    def close(self) -> None:
        """Nothing is held."""


def endless() -> Iterator[Frame]:
    for index in itertools.count():
        yield Frame(np.full((4, 6, 3), index % 256, np.uint8), "0", index, index)


@pytest.fixture
def denoiser(make_model) -> Iterator[Denoiser]:
    with Denoiser(make_model("negative")) as denoiser:
        yield denoiser


def run(frames, denoiser, sinks, **options):
    meter = StreamMeter()
    reports = list(denoise_stream(frames, denoiser, sinks, controls=Controls(), meter=meter, **options))
    assert meter.stats().frames == len(reports)
    return reports


def test_each_frame_goes_to_every_sink_with_its_result(denoiser):
    sinks = [Notes(), Notes()]
    reports = run(endless(), denoiser, sinks, limit=3)
    assert sinks[0].got == sinks[1].got == [(0, 0, 255), (1, 1, 254), (2, 2, 253)]
    assert [report.source for report in reports] == ["0 frame 0", "0 frame 1", "0 frame 2"]


def test_without_sinks_frames_are_counted(denoiser):
    assert len(run(endless(), denoiser, [], limit=4)) == 4


def test_a_sink_that_wants_no_more_ends_it_for_all(denoiser):
    sinks = [Notes(most=2), Notes()]
    stop = Stop()
    run(endless(), denoiser, sinks, stop=stop)
    assert [len(sink.got) for sink in sinks] == [2, 2]
    assert stop.is_due


def test_a_stop_ends_it_with_the_frames_under_way(denoiser):
    stop, notes = Stop(), Notes()
    reports = denoise_stream(
        endless(), denoiser, [notes], controls=Controls(), meter=StreamMeter(), stop=stop
    )
    next(reports)
    stop.request()
    rest = len(list(reports))
    assert rest <= 3 and len(notes.got) == rest + 1


def test_leaving_it_wakes_a_source_that_waits(denoiser):
    stop = Stop()

    def waits_for_its_camera():
        while not stop.is_due:
            threading.Event().wait(0.01)
            yield None

    frames = itertools.chain(itertools.islice(endless(), 2), (f for f in waits_for_its_camera() if f))
    reports = denoise_stream(frames, denoiser, [], controls=Controls(), meter=StreamMeter(), stop=stop)
    next(reports)
    reports.close()
    assert stop.is_due


def test_the_strength_may_change_between_frames(denoiser):
    controls, notes = Controls(strength=0.0), Notes()
    frames = endless()
    reports = denoise_stream(frames, denoiser, [notes], controls=controls, meter=StreamMeter(), limit=20)
    next(reports)
    controls.strength = 1.0
    list(reports)
    assert notes.got[0] == (0, 0, 0) and notes.got[-1] == (19, 19, 236)


def test_a_user_ends_it_while_no_frame_comes(denoiser):
    class Window(Notes):
        def poll(self) -> bool:
            return len(self.got) < 2

    stop = Stop()

    def lost_after_two():
        yield from itertools.islice(endless(), 2)
        while not stop.is_due:  # a camera that is waited for
            threading.Event().wait(0.01)

    window = Window()
    reports = run(lost_after_two(), denoiser, [Notes(), window], stop=stop)
    assert len(reports) == len(window.got) == 2
