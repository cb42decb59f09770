"""The live page in headless Chromium: what a user sees and does."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from n2b.runtime.images.image import read_image

from .served import HEIGHT, WIDTH
from .tabs import PHONE, pixels, text, until, wait


def split(tab: Any) -> int:
    return int(tab.get_attribute("#divider", "aria-valuenow"))


def drag(tab: Any, where: float) -> None:
    """Drag the divider to this part of the image's width."""
    stage, grip = tab.locator("#stage").bounding_box(), tab.locator("#divider span").bounding_box()
    tab.mouse.move(grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2)
    tab.mouse.down()
    tab.mouse.move(stage["x"] + where * stage["width"], stage["y"] + 10, steps=5)
    tab.mouse.up()


def test_it_shows_moving_images_before_and_after(serve, watch):
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


def test_strength_changes_the_image(serve, watch):
    served = serve()
    tab = watch(served)
    assert not np.array_equal(pixels(tab, "before"), pixels(tab, "after"))
    tab.fill("#strength", "0")
    until(
        tab,
        "['before', 'after'].map((id) => document.getElementById(id).toDataURL())"
        ".every((image, _, both) => image === both[0])",
    )
    assert served.controls.strength == 0
    assert text(tab, "strength-value") == "0 %"


def test_one_viewers_strength_shows_on_the_others_slider(serve, watch):
    served = serve()
    one, other = watch(served), watch(served)
    one.fill("#strength", "40")
    until(other, "document.getElementById('strength').value === '40'")


def test_pause_holds_the_image_and_resume_goes_on(serve, watch):
    tab = watch(serve())
    tab.click("#pause")
    assert text(tab, "state") == "Paused"
    tab.wait_for_timeout(200)
    held = pixels(tab, "before")
    tab.wait_for_timeout(300)
    assert np.array_equal(pixels(tab, "before"), held)
    tab.click("#pause")
    wait(tab, lambda: not np.array_equal(pixels(tab, "before"), held))


def test_a_snapshot_is_the_denoised_image(serve, watch, tmp_path):
    tab = watch(serve())
    with tab.expect_download() as download:
        tab.click("#snapshot")
    assert re.fullmatch(r"n2b-\d{6}\.png", download.value.suggested_filename)
    download.value.save_as(tmp_path / "snapshot.png")
    image = read_image(tmp_path / "snapshot.png").pixels
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert (image[:, : WIDTH // 2] == 100).all() and (image[:, WIDTH // 2 :] == 160).all()


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
