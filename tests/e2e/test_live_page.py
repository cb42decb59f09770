"""The live page in headless Chromium: what a user sees and does."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from n2b.runtime.controls import Controls
from n2b.runtime.frame import Frame
from n2b.runtime.image import read_image
from n2b.runtime.live_stats import StreamMeter
from n2b.runtime.preview.sink import PageSink
from n2b.runtime.values import blend

pytest.importorskip("websockets", reason="the package websockets is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="the package chromium is not installed")

SWITCHES = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync "
    "--no-first-run"
)
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
SOON_S = 30.0
HEIGHT, WIDTH = 60, 80
IS_LIVE = "document.getElementById('state').dataset.state === 'live'"


class Camera:
    """A noisy picture, new noise in each frame, that goes to a page until it is stopped.

    The clean picture has the level 100 on the left and 160 on the right.
    """

    def __init__(self, page: PageSink, controls: Controls, meter: StreamMeter) -> None:
        self._page, self._controls, self._meter = page, controls, meter
        self._random = np.random.default_rng(0)
        self._clean = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
        self._clean[:, WIDTH // 2 :] = 160
        self.is_lost = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        index = 0
        while not self._stopped.wait(0.03):
            if self.is_lost.is_set():
                continue
            noise = self._random.normal(0, 25, self._clean.shape)
            noisy = np.clip(np.rint(self._clean + noise), 0, 255).astype(np.uint8)
            frame = Frame(noisy, "camera", index, time.monotonic_ns(), time.monotonic_ns())
            self._page.write(frame, blend(noisy, self._clean, self._controls.strength))
            self._meter.add(frame, time.monotonic_ns())
            index += 1


class Served:
    """A camera on a live page."""

    def __init__(self, address: str) -> None:
        self.controls, meter = Controls(), StreamMeter()
        self.page = PageSink(address, self.controls, meter)
        self.url = self.page.url
        self.camera = Camera(self.page, self.controls, meter)

    def close(self) -> None:
        self.camera.stop()
        self.page.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=SWITCHES.split())
        yield started
        started.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    with contextlib.ExitStack() as served:
        yield lambda address="0": served.enter_context(contextlib.closing(Served(address)))


@pytest.fixture
def watch(browser: Any) -> Iterator[Callable[..., Any]]:
    """watch(served, size) → a tab that shows its pictures; an error in the page fails the test."""
    complaints: list[str] = []
    with contextlib.ExitStack() as opened:

        def open_tab(served: Served, size: dict[str, int] = DESKTOP, **options: Any) -> Any:
            context = browser.new_context(viewport=size, **options)
            opened.callback(context.close)
            tab = context.new_page()
            tab.on("pageerror", lambda error: complaints.append(str(error)))
            tab.on("console", lambda said: said.type == "error" and complaints.append(said.text))
            tab.goto(served.url)
            until(tab, IS_LIVE)
            until(tab, f"document.getElementById('after').width === {WIDTH}")
            return tab

        yield open_tab
    assert not complaints


def wait(tab: Any, is_so: Callable[[], object]) -> None:
    end = time.monotonic() + SOON_S
    while not is_so():
        assert time.monotonic() < end, "it did not come about"
        tab.wait_for_timeout(30)


def until(tab: Any, expression: str) -> None:
    """Wait for an expression to be true; the page's own security policy forbids playwright's way."""
    wait(tab, lambda: tab.evaluate(expression))


def pixels(tab: Any, canvas: str) -> np.ndarray:
    """What a canvas holds, (H, W, 3)."""
    values, height, width = tab.evaluate(
        "id => { const c = document.getElementById(id);"
        "const image = c.getContext('2d').getImageData(0, 0, c.width, c.height);"
        "return [Array.from(image.data), c.height, c.width]; }",
        canvas,
    )
    return np.array(values, np.uint8).reshape(height, width, 4)[..., :3]


def text(tab: Any, name: str) -> str:
    return tab.inner_text(f"#{name}")


def split(tab: Any) -> int:
    return int(tab.get_attribute("#divider", "aria-valuenow"))


def drag(tab: Any, where: float) -> None:
    """Drag the divider to this part of the picture's width."""
    stage, grip = tab.locator("#stage").bounding_box(), tab.locator("#divider span").bounding_box()
    tab.mouse.move(grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2)
    tab.mouse.down()
    tab.mouse.move(stage["x"] + where * stage["width"], stage["y"] + 10, steps=5)
    tab.mouse.up()


def test_it_shows_moving_pictures_before_and_after(serve, watch):
    tab = watch(serve())
    first = pixels(tab, "before")
    assert first.shape == (HEIGHT, WIDTH, 3)
    assert first.std(axis=(0, 1)).min() > 25
    after = pixels(tab, "after").astype(int)
    assert np.abs(after[:, 5:-45] - 100).max() <= 8 and np.abs(after[:, 45:-5] - 160).max() <= 8
    wait(tab, lambda: not np.array_equal(pixels(tab, "before"), first))


def test_it_shows_the_streams_numbers(serve, watch):
    tab = watch(serve())
    until(tab, "document.getElementById('noise-before').textContent !== '–'")
    until(tab, "Number(document.getElementById('fps').textContent) > 0")
    assert float(text(tab, "noise-before")) == pytest.approx(25, rel=0.1)
    assert float(text(tab, "noise-after")) < 5
    assert float(text(tab, "latency-p99")) >= float(text(tab, "latency-p50")) >= 0
    assert text(tab, "resolution") == f"{WIDTH}×{HEIGHT}"
    assert (text(tab, "dropped"), text(tab, "reconnects")) == ("0", "0")


def test_dragging_moves_the_divider_and_what_lies_left_of_it_is_before(serve, watch):
    tab = watch(serve())
    assert split(tab) == 50
    for where in (0.2, 0.9):
        drag(tab, where)
        assert split(tab) == pytest.approx(100 * where, abs=1)
        clip = tab.evaluate("getComputedStyle(document.getElementById('before')).clipPath")
        assert re.search(rf"calc\({100 - split(tab)}|{100 - split(tab)}(\.\d+)?%", clip)
        divider, stage = tab.locator("#divider").bounding_box(), tab.locator("#stage").bounding_box()
        assert (divider["x"] - stage["x"]) / stage["width"] == pytest.approx(where, abs=0.01)


def test_a_finger_moves_it_too(serve, watch):
    tab = watch(serve(), PHONE, has_touch=True, is_mobile=True)
    stage = tab.locator("#stage").bounding_box()
    tab.touchscreen.tap(stage["x"] + 0.75 * stage["width"], stage["y"] + stage["height"] / 2)
    assert split(tab) == pytest.approx(75, abs=1)


def test_the_keyboard_does_all(serve, watch):
    served = serve()
    tab = watch(served)
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.id") == "divider"
    for key, expected in (
        ("ArrowRight", 51),
        ("Shift+ArrowLeft", 41),
        ("PageUp", 51),
        ("Home", 0),
        ("End", 100),
    ):
        tab.keyboard.press(key)
        assert split(tab) == expected
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.id") == "strength"
    tab.keyboard.press("Home")
    wait(tab, lambda: served.controls.strength == 0)
    tab.keyboard.press("Tab")
    tab.keyboard.press("Space")
    assert text(tab, "pause-label") == "Resume"


def test_strength_changes_the_picture(serve, watch):
    served = serve()
    tab = watch(served)
    assert not np.array_equal(pixels(tab, "before"), pixels(tab, "after"))
    tab.fill("#strength", "0")
    until(
        tab,
        "['before', 'after'].map((id) => document.getElementById(id).toDataURL())"
        ".every((picture, _, both) => picture === both[0])",
    )
    assert served.controls.strength == 0
    assert text(tab, "strength-value") == "0 %"


def test_one_viewers_strength_shows_on_the_others_slider(serve, watch):
    served = serve()
    one, other = watch(served), watch(served)
    one.fill("#strength", "40")
    until(other, "document.getElementById('strength').value === '40'")


def test_pause_holds_the_picture_and_resume_goes_on(serve, watch):
    tab = watch(serve())
    tab.click("#pause")
    assert text(tab, "state") == "Paused"
    tab.wait_for_timeout(200)
    held = pixels(tab, "before")
    tab.wait_for_timeout(300)
    assert np.array_equal(pixels(tab, "before"), held)
    tab.click("#pause")
    wait(tab, lambda: not np.array_equal(pixels(tab, "before"), held))


def test_a_snapshot_is_the_denoised_picture(serve, watch, tmp_path):
    tab = watch(serve())
    with tab.expect_download() as download:
        tab.click("#snapshot")
    assert re.fullmatch(r"n2b-\d{6}\.png", download.value.suggested_filename)
    download.value.save_as(tmp_path / "snapshot.png")
    picture = read_image(tmp_path / "snapshot.png").pixels
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert (picture[:, : WIDTH // 2] == 100).all() and (picture[:, WIDTH // 2 :] == 160).all()


def test_a_wrong_token_gets_nothing(serve, browser):
    served = serve("0.0.0.0:0")
    context = browser.new_context()
    with contextlib.closing(context):
        tab = context.new_page()
        for query in ("", "?token=wrong"):
            assert tab.goto(served.url.partition("?")[0] + query).status == 401
            assert tab.locator("canvas, script, input").count() == 0
        assert context.cookies() == []
        tried = tab.evaluate(
            "() => new Promise((done) => { const s = new WebSocket(`ws://${location.host}/live`);"
            "s.onopen = () => done('open'); s.onerror = () => done('refused'); })"
        )
        assert tried == "refused"


def test_the_token_opens_the_page_and_leaves_the_address_bar(serve, watch):
    served = serve("0.0.0.0:0")
    tab = watch(served)
    assert "token" not in tab.url
    (cookie,) = tab.context.cookies()
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict"
    assert cookie["value"] not in tab.evaluate("document.cookie")
    tab.reload()
    until(tab, IS_LIVE)


@pytest.mark.parametrize("size", [PHONE, {"width": 320, "height": 568}, {"width": 844, "height": 390}])
def test_on_a_phone_all_controls_are_within_the_width(serve, watch, size):
    tab = watch(serve(), size, has_touch=True, is_mobile=True, device_scale_factor=3)
    width = tab.evaluate("document.documentElement.scrollWidth")
    assert width <= size["width"]
    for name in ("stage", "strength", "pause", "snapshot", "fps", "noise-after", "reconnects"):
        box = tab.locator(f"#{name}").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= size["width"] and box["height"] > 0
    for name in ("strength", "pause", "snapshot", "divider span"):
        assert tab.locator(f"#{name}").bounding_box()["height"] >= 44  # for a finger


def test_on_an_upright_phone_all_is_seen_at_once(serve, watch):
    tab = watch(serve(), PHONE, has_touch=True, is_mobile=True)
    assert tab.evaluate("document.documentElement.scrollHeight") <= PHONE["height"]


def test_a_silent_camera_is_told_and_its_return_seen(serve, watch):
    served = serve()
    tab = watch(served)
    served.camera.is_lost.set()
    tab.wait_for_selector("#notice:has-text('No frame from the camera')")
    assert text(tab, "state") == "Camera lost"
    served.camera.is_lost.clear()
    until(tab, IS_LIVE)
    assert not tab.is_visible("#notice")


def test_the_programs_end_is_told_and_the_next_start_seen(serve, browser):
    served = serve()
    with contextlib.closing(browser.new_context()) as context:  # its console tells of refused connections
        tab = context.new_page()
        tab.goto(served.url)
        until(tab, IS_LIVE)
        served.close()
        tab.wait_for_selector("#notice:has-text('n2b-infer has ended')")
        serve(served.url.rpartition(":")[2].rstrip("/"))
        until(tab, IS_LIVE)


def test_the_command_serves_a_film(tmp_path: Path, browser):
    cv2 = pytest.importorskip("cv2", reason="the package opencv-python is not installed")
    film = str(tmp_path / "film.avi")
    writer = cv2.VideoWriter(film, cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    if not writer.isOpened():
        pytest.skip("the package opencv-python that is installed writes no video")
    random = np.random.default_rng(0)
    for _ in range(2000):
        writer.write(random.integers(0, 256, (48, 64, 3), np.uint8))
    writer.release()
    code = "from n2b.runtime.cli import main; main()"
    arguments = ["--camera", film, "--serve", "0", "--model", "camera"]
    command = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            url = re.fullmatch(r"live page: (http://127\.0\.0\.1:\d+/)\n", process.stderr.readline())
            assert url is not None
            with contextlib.closing(browser.new_context()) as context:
                tab = context.new_page()
                tab.goto(url[1])
                until(tab, "document.getElementById('after').width === 64")
                assert not np.array_equal(pixels(tab, "before"), pixels(tab, "after"))
        finally:
            process.kill()
