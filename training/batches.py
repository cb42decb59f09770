"""Draw the batch of each step from (seed, step) alone; the processes share it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Generic, TypeVar

import numpy as np
import torch
from lightning_fabric import Fabric

from .config import TrainConfig
from .data.dataset import Dataset
from .objectives import Batch, Objective
from .value_transform import to_domain

_Item = TypeVar("_Item")


@contextmanager
def open_batches(
    fabric: Fabric, config: TrainConfig, dataset: Dataset, objective: Objective
) -> Iterator[Callable[[int], Batch]]:
    """Yield a function from a step to this process's share of its batch.

    If the images are on disk, the next batch is gathered in a thread while the device works on this one.
    """

    def make(step: int) -> Batch:
        return draw_batch(fabric, config, dataset, objective, step)

    if dataset.noisy.is_on_disk or dataset.clean.is_on_disk:
        with Prefetcher(make, fabric.device) as batch_of:
            yield batch_of
    else:
        yield make


def draw_batch(
    fabric: Fabric, config: TrainConfig, dataset: Dataset, objective: Objective, step: int
) -> Batch:
    """Return this process's share of the crops and random numbers of a step; float32, in the run's domain."""
    rng = np.random.default_rng([config.seed, 3, step])
    noisy_places = dataset.noisy.draw(config.batch, rng)
    clean_places = dataset.clean.draw(config.batch, rng)
    random = objective.draw(rng, config.batch, config.patch_px)
    mine = slice(fabric.global_rank, None, fabric.world_size)

    def in_domain(crops: torch.Tensor) -> torch.Tensor:
        return to_domain(crops.float().div_(255), config.domain)

    noisy = dataset.noisy.crops(noisy_places[mine])
    return Batch(
        noisy=in_domain(noisy[:, :3]),
        target=in_domain(noisy[:, 3:]) if dataset.noisy.channels > 3 else None,
        clean=in_domain(dataset.clean.crops(clean_places[mine])),
        random={
            name: torch.from_numpy(v[mine]).to(fabric.device, non_blocking=True) for name, v in random.items()
        },
    )


class Prefetcher(Generic[_Item]):
    """Returns `make(step)` and prepares that of the next step in a thread; a context manager.

    Args:
        make: a function of the step alone, called for one step at a time; its errors are raised by the
            call for that step.
        device: of the crops; a thread must select its GPU itself.
    """

    def __init__(self, make: Callable[[int], _Item], device: torch.device) -> None:
        self._make = make
        self._thread = ThreadPoolExecutor(1, "prefetch", initializer=_select_device, initargs=(device,))
        self._pending: dict[int, Future[_Item]] = {}

    def __enter__(self) -> Prefetcher[_Item]:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    def __call__(self, step: int) -> _Item:
        """Return the result for a step; consecutive steps do not wait."""
        current = self._pending.pop(step, None) or self._thread.submit(self._make, step)
        self._pending = {step + 1: self._thread.submit(self._make, step + 1)}
        return current.result()


def _select_device(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.set_device(device)
