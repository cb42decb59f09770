"""The live page in headless Chromium: who gets it, and what comes and goes."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from .tabs import IS_LIVE, pixels, text, until


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


def test_a_silent_camera_is_reported_and_its_return_seen(serve, watch):
    served = serve()
    tab = watch(served)
    served.camera.is_lost.set()
    tab.wait_for_selector("#notice:has-text('No frame from the camera')")
    assert text(tab, "state") == "Camera lost"
    served.camera.is_lost.clear()
    until(tab, IS_LIVE)
    assert not tab.is_visible("#notice")


def test_the_programs_end_is_reported_and_the_next_start_seen(serve, browser):
    served = serve()
    with contextlib.closing(browser.new_context()) as context:  # its console tells of refused connections
        tab = context.new_page()
        tab.goto(served.url)
        until(tab, IS_LIVE)
        served.close()
        tab.wait_for_selector("#notice:has-text('n2b-infer has ended')")
        serve(served.url.rpartition(":")[2].rstrip("/"))
        until(tab, IS_LIVE)


def test_the_command_serves_a_video(tmp_path: Path, browser):
    cv2 = pytest.importorskip("cv2", reason="the package opencv-python is not installed")
    video = str(tmp_path / "video.avi")
    writer = cv2.VideoWriter(video, cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    if not writer.isOpened():
        pytest.skip("the package opencv-python that is installed writes no video")
    random = np.random.default_rng(0)
    for _ in range(2000):
        writer.write(random.integers(0, 256, (48, 64, 3), np.uint8))
    writer.release()
    code = "from n2b.runtime.cli import main; main()"
    arguments = ["--camera", video, "--serve", "0", "--model", "camera"]
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
