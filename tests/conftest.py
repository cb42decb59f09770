"""What every test can count on."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from n2b.runtime.backends import choice_cpu


@pytest.fixture(autouse=True, scope="session")
def ctrl_c_interrupts() -> Iterator[None]:
    """A shell that runs the tests in the background has Ctrl-C ignored, and children inherit it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder is left alone, and every test finds it empty."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "n2b"


@pytest.fixture(autouse=True)
def auto_takes_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU `auto` takes the faster library, in BF16 where it can: that is not the same everywhere."""
    monkeypatch.setattr(choice_cpu, "_installed", lambda: ["onnxruntime"])
