from __future__ import annotations

import threading

import pytest
import torch
from n2b.training.batches import Prefetcher

CPU = torch.device("cpu")


def test_each_step_gets_its_own_batch_made_once_and_one_ahead() -> None:
    made: list[int] = []
    is_made = threading.Event()

    def make(step: int) -> int:
        made.append(step)
        if step == 13:
            is_made.set()
        return step * step

    with Prefetcher(make, CPU) as batches:
        assert [batches(step) for step in (10, 11, 12)] == [100, 121, 144]
        assert is_made.wait(10)
        assert batches(40) == 1600
    assert made[:5] == [10, 11, 12, 13, 40]


def test_batches_are_made_in_another_thread() -> None:
    with Prefetcher(lambda _: threading.current_thread().name, CPU) as batches:
        assert batches(0) != threading.current_thread().name


def test_an_error_reaches_who_asks_for_that_step_and_nobody_else() -> None:
    def make(step: int) -> int:
        if step == 2:
            raise ValueError("step 2")
        return step

    with Prefetcher(make, CPU) as batches:
        assert batches(1) == 1
        with pytest.raises(ValueError, match="step 2"):
            batches(2)
        assert batches(3) == 3
