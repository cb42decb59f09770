"""Ending a run at a signal, at the same step in all of its processes."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from lightning_fabric import Fabric

from ..runtime.errors import N2BError
from ..runtime.system.console import INTERRUPTED

AGREE_EVERY = 20  # steps between the times when several processes ask each other


class Stopped(N2BError):
    """The run was stopped by a signal; its checkpoint can be gone on with."""

    exit_status = INTERRUPTED


@contextmanager
def stop_on_signal(fabric: Fabric) -> Iterator[Callable[[int], bool]]:
    """A question, whether SIGINT or SIGTERM has come, asked with the step: it is finished first.

    A second SIGINT interrupts at once. Several processes answer alike: any one's signal ends all.
    """
    received: list[int] = []

    def receive(number: int, _: object) -> None:
        received.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def has_come(step: int) -> bool:
        if fabric.world_size == 1:
            return bool(received)
        if step % AGREE_EVERY:
            return False
        count = fabric.all_reduce(torch.tensor(float(len(received)), device=fabric.device), reduce_op="sum")
        return bool(count)

    previous = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield has_come
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
