"""The batch of every step: decided by (seed, step) alone, shared among the processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from lightning_fabric import Fabric

from .config import TrainConfig
from .data.dataset import Dataset
from .objectives import Batch, Objective
from .prefetch import Prefetcher
from .value_transform import to_domain


@contextmanager
def open_batches(
    fabric: Fabric, config: TrainConfig, dataset: Dataset, objective: Objective
) -> Iterator[Callable[[int], Batch]]:
    """A function from a step to this process's share of its batch.

    Where images lie in a file, the next batch is gathered in a thread while the device works on this one.
    """

    def make(step: int) -> Batch:
        return draw_batch(fabric, config, dataset, objective, step)

    if dataset.noisy.is_spilled or dataset.clean.is_spilled:
        with Prefetcher(make, fabric.device) as batch_of:
            yield batch_of
    else:
        yield make


def draw_batch(
    fabric: Fabric, config: TrainConfig, dataset: Dataset, objective: Objective, step: int
) -> Batch:
    """This process's share of the crops and random numbers of a step, as float32 in the network's domain."""
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
