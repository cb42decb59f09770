"""Batches made one step ahead, in a thread of their own, while the device works on the present one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar

import torch

Batch = TypeVar("Batch")


class Prefetcher(Generic[Batch]):
    """Gives what `make(step)` gives, and has the next step's made meanwhile. A context manager.

    What a step gets is decided by `make` and its number alone, whatever was made ahead.

    Args:
        make: called in the thread, with one step at a time; its errors reach who asks for that step.
        device: of the crops; each thread chooses its GPU anew.
    """

    def __init__(self, make: Callable[[int], Batch], device: torch.device) -> None:
        self._make = make
        self._thread = ThreadPoolExecutor(1, "prefetch", initializer=_choose, initargs=(device,))
        self._ahead: dict[int, Future[Batch]] = {}

    def __enter__(self) -> Prefetcher[Batch]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=True)

    def __call__(self, step: int) -> Batch:
        """The batch of a step; steps that come one after the other do not wait."""
        this = self._ahead.pop(step, None) or self._thread.submit(self._make, step)
        self._ahead = {step + 1: self._thread.submit(self._make, step + 1)}
        return this.result()


def _choose(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.set_device(device)
