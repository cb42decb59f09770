"""A browser, and live pages for it to show."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .served import WIDTH, Served
from .tabs import DESKTOP, IS_LIVE, until

SWITCHES = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync "
    "--no-first-run"
)


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("the package chromium is not installed")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=chromium, args=SWITCHES.split())
        yield started
        started.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    pytest.importorskip("websockets", reason="the package websockets is not installed")
    with contextlib.ExitStack() as served:
        yield lambda address="0": served.enter_context(contextlib.closing(Served(address)))


@pytest.fixture
def watch(browser: Any) -> Iterator[Callable[..., Any]]:
    """watch(served, size) → a tab that shows its images; an error in the page fails the test."""
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
