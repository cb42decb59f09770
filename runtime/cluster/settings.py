"""The options of n2b-infer for a Ray cluster."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ..system.options import option

LOCAL = "local"  # a cluster of this machine, for the time of the run
_cluster = partial(option, "Cluster")


@dataclass(frozen=True)
class ClusterOptions:
    """The cluster that denoises the images, and how it is divided."""

    ray: str | None = _cluster(
        None,
        "Denoise images on a Ray cluster: local (all cores or GPUs of this machine), auto (the cluster that "
        "this machine belongs to), or the address of one.",
        metavar="local|auto|HOST:PORT",
    )
    ray_actors: int | None = _cluster(
        None,
        "Models that run at once in the cluster; default: one a GPU, else one for --ray-threads cores.",
        metavar="N",
        minimum=1,
        maximum=65_536,
    )
    ray_threads: int = _cluster(
        1, "CPU cores, and so threads, of each model.", metavar="N", minimum=1, maximum=65_536
    )
