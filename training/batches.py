"""Draw the batch of each step from (seed, step) alone; the processes share it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count

import numpy as np
import torch
from lightning_fabric import Fabric

from ..runtime.system.prefetch import prefetch
from .config import TrainConfig
from .data.dataset import Dataset
from .models.value_transform import to_domain
from .objectives import Batch, Objective


@contextmanager
def open_batches(
    fabric: Fabric, config: TrainConfig, dataset: Dataset, objective: Objective, first_step: int
) -> Iterator[Iterator[Batch]]:
    """Yield this process's shares of the batches, from that of `first_step` on.

    If the images are on disk, the next batch is gathered in a thread while the device works on this one.
    """

    def batches() -> Iterator[Batch]:
        if fabric.device.type == "cuda":
            torch.cuda.set_device(fabric.device)  # a thread must select its GPU itself
        for step in count(first_step):
            yield draw_batch(fabric, config, dataset, objective, step)

    if dataset.noisy.is_on_disk or dataset.clean.is_on_disk:
        with closing(prefetch(batches())) as prefetched:
            yield prefetched
    else:
        yield batches()


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
        return to_domain(crops.float().div_(dataset.noisy.white), config.domain)

    noisy = dataset.noisy.crops(noisy_places[mine])
    return Batch(
        noisy=in_domain(noisy[:, :3]),
        target=in_domain(noisy[:, 3:]) if dataset.noisy.channels > 3 else None,
        clean=in_domain(dataset.clean.crops(clean_places[mine])),
        image=torch.from_numpy(noisy_places[mine, 0]).to(fabric.device, non_blocking=True),
        random={
            name: torch.from_numpy(v[mine]).to(fabric.device, non_blocking=True) for name, v in random.items()
        },
    )
