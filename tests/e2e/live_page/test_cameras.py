"""Several cameras on one live page, in a browser."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from n2b.runtime.controls import Controls
from n2b.runtime.frame import Frame
from n2b.runtime.live_stats import StreamMeter
from n2b.runtime.preview.sink import Page

from .tabs import DESKTOP, until

LEVELS = {"door": 60, "yard & gate": 200}
_COLOUR = "document.getElementById('after').getContext('2d').getImageData(5, 5, 1, 1).data[0]"


@pytest.fixture
def page() -> Iterator[tuple[Page, dict[str, Controls]]]:
    pytest.importorskip("websockets", reason="the package websockets is not installed")
    controls = {name: Controls() for name in LEVELS}
    ended = threading.Event()
    with contextlib.closing(Page("0")) as page:
        meters = {name: StreamMeter() for name in LEVELS}
        views = {name: page.camera(name, controls[name], meters[name]) for name in LEVELS}

        def run() -> None:
            index = 0
            while not ended.wait(0.05):
                for name, level in LEVELS.items():
                    pixels = np.full((60, 80, 3), level, np.uint8)
                    frame = Frame(pixels, name, index, time.monotonic_ns(), time.monotonic_ns())
                    views[name].write(frame, pixels)
                    meters[name].add(frame, time.monotonic_ns())
                index += 1

        thread = threading.Thread(target=run)
        thread.start()
        yield page, controls
        ended.set()
        thread.join()


def test_a_click_shows_another_camera_and_its_strength_is_its_own(page, browser):
    served, controls = page
    context = browser.new_context(viewport=DESKTOP)
    try:
        tab = context.new_page()
        complaints: list[str] = []
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.goto(served.url)
        until(tab, "document.querySelectorAll('#cameras button').length === 2")
        until(tab, f"Math.abs({_COLOUR} - 60) < 4")
        until(tab, "[...document.querySelectorAll('#cameras img')].every((image) => image.naturalWidth > 0)")
        until(tab, "document.querySelector('#cameras small').textContent.endsWith('fps')")
        tab.locator("#cameras button").nth(1).click()
        until(tab, f"Math.abs({_COLOUR} - 200) < 4")
        until(tab, "document.querySelectorAll('#cameras button')[1].getAttribute('aria-current') === 'true'")
        tab.locator("#strength").focus()
        tab.keyboard.press("Home")
        end = time.monotonic() + 10
        while controls["yard & gate"].strength:
            assert time.monotonic() < end
            tab.wait_for_timeout(20)
        assert controls["door"].strength == 1 and not complaints
    finally:
        context.close()
