"""Read the state of a browser's tab."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
IS_LIVE = "document.getElementById('state').dataset.state === 'live'"
SOON_S = 30.0


def wait(tab: Any, is_so: Callable[[], object]) -> None:
    end = time.monotonic() + SOON_S
    while not is_so():
        assert time.monotonic() < end, "it did not come about"
        tab.wait_for_timeout(30)


def until(tab: Any, expression: str) -> None:
    """Wait for an expression to be true; the page's own security policy forbids playwright's way."""
    wait(tab, lambda: tab.evaluate(expression))


def pixels(tab: Any, canvas: str) -> np.ndarray:
    """Return the pixels of a canvas, (H, W, 3)."""
    values, height, width = tab.evaluate(
        "id => { const c = document.getElementById(id);"
        "const image = c.getContext('2d').getImageData(0, 0, c.width, c.height);"
        "return [Array.from(image.data), c.height, c.width]; }",
        canvas,
    )
    return np.array(values, np.uint8).reshape(height, width, 4)[..., :3]


def text(tab: Any, name: str) -> str:
    return tab.inner_text(f"#{name}")
