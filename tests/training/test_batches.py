from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from n2b.training import batches
from n2b.training.batches import open_batches


@pytest.fixture
def open_with(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Open the batches that a function makes of their steps, of images on disk."""

    @contextmanager
    def opened(make: Callable[[int], Any], first_step: int) -> Iterator[Iterator[Any]]:
        monkeypatch.setattr(batches, "draw_batch", lambda *arguments: make(arguments[-1]))
        pool = SimpleNamespace(is_on_disk=True)
        dataset: Any = SimpleNamespace(noisy=pool, clean=pool)
        fabric: Any = SimpleNamespace(device=torch.device("cpu"))
        nothing: Any = None
        with open_batches(fabric, nothing, dataset, nothing, first_step) as opened:
            yield opened

    return opened


def test_each_step_gets_its_own_batch_made_once_and_one_ahead(open_with: Callable[..., Any]) -> None:
    made: list[int] = []
    is_made = threading.Event()

    def make(step: int) -> int:
        made.append(step)
        if step == 13:
            is_made.set()
        return step * step

    with open_with(make, 10) as opened:
        assert [next(opened) for _ in range(3)] == [100, 121, 144]
        assert is_made.wait(10)
    assert made[:4] == [10, 11, 12, 13] == sorted(made)[:4] and len(made) == len(set(made))


def test_batches_are_made_in_another_thread(open_with: Callable[..., Any]) -> None:
    with open_with(lambda _: threading.current_thread().name, 0) as opened:
        assert next(opened) != threading.current_thread().name


def test_an_error_reaches_who_asks_for_that_step(open_with: Callable[..., Any]) -> None:
    def make(step: int) -> int:
        if step == 2:
            raise ValueError("step 2")
        return step

    with open_with(make, 1) as opened:
        assert next(opened) == 1
        with pytest.raises(ValueError, match="step 2"):
            next(opened)
