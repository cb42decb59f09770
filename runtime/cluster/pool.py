"""Run tasks on the actors of Ray Data."""

from __future__ import annotations

import logging
import math
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from n2b import __version__

from ..commands.opened_model import OpenModel
from ..errors import DeviceError, EnvironmentFault, N2BError, shorten
from ..system.memory import usable_cores
from ..system.opencv import quiet
from ..system.packages import require
from .ledger import Ledger
from .settings import LOCAL, ClusterOptions
from .worker import ImageWorker, Outcome, Task, WorkerSettings, describe_model

_OBJECT_STORE_BYTES = 200_000_000  # the model and names pass through it; images do not
_MOST_PER_BATCH, _BATCHES_PER_ACTOR = 16, 4
_STARTS = 3  # of a local cluster, whose processes may be too slow on a busy machine


@dataclass(frozen=True)
class Pool:
    """The actors of a run, and what each has."""

    actors: int
    threads: int
    gpus: int  # 1 or 0
    per_machine: int  # most actors on one machine

    @property
    def resources(self) -> dict[str, float]:
        """Return what Ray reserves for an actor."""
        return {"num_cpus": self.threads, "num_gpus": self.gpus}

    def __str__(self) -> str:
        each = "a GPU" if self.gpus else f"{self.threads} thread{'' if self.threads == 1 else 's'}"
        return f"{self.actors} model{'' if self.actors == 1 else 's'} with {each} each"


@contextmanager
def connect(address: str) -> Iterator[None]:
    """Connect to a cluster, or start one on this machine; an existing connection is used as it is.

    Raises:
        MissingPackageError: Ray is not installed.
        DeviceError: the cluster does not answer.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # its default warns of a change to come
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # Ray Data causes an error that it does not mean
    os.environ.setdefault("RAY_worker_niceness", "0")  # of a local cluster: its default yields to all others
    ray = require("ray", extra="ray")
    require("ray.data", package="ray", extra="ray")
    if ray.is_initialized():
        yield
        return
    settings: dict[str, Any] = {"address": address}
    if address == LOCAL:
        settings |= {
            "num_cpus": usable_cores(),
            "include_dashboard": False,
            "object_store_memory": _OBJECT_STORE_BYTES,
        }
    for start in range(_STARTS if address == LOCAL else 1):
        try:
            with quiet():
                ray.init(**settings, log_to_driver=False, logging_level=logging.ERROR)
            break
        except Exception as error:  # of many kinds: no address, no answer, another version of Python or Ray
            ray.shutdown()
            if address == LOCAL and start + 1 < _STARTS:
                continue
            hint = "free cores" if address == LOCAL else "start one with ray start --head, or use --ray local"
            raise DeviceError(f"there is no Ray cluster at '{address}': {shorten(error)}; {hint}") from error
    try:
        yield
    finally:
        ray.shutdown()


def divide(options: ClusterOptions, device: str) -> Pool:
    """Divide the cluster into actors: one a GPU if it has GPUs, else one for so many cores.

    Raises:
        DeviceError: it has too few cores or GPUs.
    """
    ray = require("ray", extra="ray")
    total = ray.cluster_resources()
    cores, gpus = int(total.get("CPU", 0)), int(total.get("GPU", 0))
    is_gpu = gpus > 0 and device != "cpu"
    threads = options.ray_threads
    most = min(gpus, cores // threads) if is_gpu else cores // threads
    actors = options.ray_actors or most
    if most < 1 or actors > most:
        raise DeviceError(
            f"the cluster has {cores} cores and {gpus} GPUs: room for {most} models of {threads} threads, "
            f"not {max(actors, 1)}; use a smaller --ray-actors or --ray-threads"
        )
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    unit, each = ("GPU", 1) if is_gpu else ("CPU", threads)
    per_machine = max(int(machine.get(unit, 0)) // each for machine in machines)
    return Pool(actors, threads, int(is_gpu), max(1, min(actors, per_machine)))


def open_once(settings: WorkerSettings, pool: Pool) -> OpenModel:
    """Open the model in one process of the cluster, and return what it is.

    Raises:
        N2BError: it cannot be opened.
        EnvironmentFault: n2b is not installed there, or another version.
    """
    ray = require("ray", extra="ray")
    try:
        version, described = ray.get(ray.remote(**pool.resources)(_describe).remote(settings))
    except Exception as error:
        raise EnvironmentFault(
            f"a process of the cluster cannot run n2b: {_cause(error)}; install "
            f"noise2blur[ray]=={__version__} and the extra of its backend on every machine"
        ) from error
    if version != __version__:
        raise EnvironmentFault(
            f"the cluster has noise2blur {version}, this machine {__version__}; install the same everywhere"
        )
    if isinstance(described, N2BError):
        raise described
    return described


def _describe(settings: WorkerSettings) -> tuple[str, OpenModel | N2BError]:
    return __version__, describe_model(settings)


def run_tasks(tasks: Sequence[Task], settings: WorkerSettings, pool: Pool) -> Iterator[Outcome]:
    """Denoise images in the cluster; yield the outcomes as they come, one a task.

    If a process dies, Ray starts another, which repeats its batch, image by image.

    Raises:
        N2BError: the model or a machine failed.
    """
    if not tasks:
        return
    ray, ray_data = require("ray", extra="ray"), require("ray.data", package="ray", extra="ray")
    _be_quiet(ray_data)
    size = max(1, min(_MOST_PER_BATCH, len(tasks) // (_BATCHES_PER_ACTOR * pool.actors)))
    blocks = math.ceil(len(tasks) / size)
    here = ray.get_runtime_context().get_node_id()
    strategy = require("ray.util.scheduling_strategies", package="ray", extra="ray")
    ledger = ray.remote(num_cpus=0)(Ledger).options(
        scheduling_strategy=strategy.NodeAffinitySchedulingStrategy(here, soft=True)
    )
    references = [ray.put(settings), ledger.remote()]  # kept until the end: a new process gets them again
    dataset = ray_data.from_items(
        [{"task": pickle.dumps(task)} for task in tasks], override_num_blocks=blocks
    ).map_batches(
        _Actor,
        fn_constructor_args=(references,),
        batch_size=None,  # a block
        compute=ray_data.ActorPoolStrategy(size=min(pool.actors, blocks), max_tasks_in_flight_per_actor=2),
        **pool.resources,
    )
    try:
        for row in dataset.iter_rows():
            outcome: Outcome = pickle.loads(row["outcome"])
            if outcome.fault is not None:
                raise outcome.fault
            yield outcome
    except N2BError:
        raise
    except Exception as error:  # of many kinds
        raise EnvironmentFault(f"the cluster failed: {_cause(error)}; go on with --skip-existing") from error


class _Actor(ImageWorker):
    """A worker in the process of an actor of Ray Data, which calls it with batches."""

    def __init__(self, references: Sequence[Any]) -> None:
        ray = require("ray", extra="ray")
        super().__init__(ray.get(references[0]), cast("Ledger", _RemoteLedger(ray.get, references[1])))


@dataclass(frozen=True)
class _RemoteLedger:
    """The ledger of another process."""

    get: Callable[[Any], Any]
    actor: Any

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *arguments: self.get(getattr(self.actor, name).remote(*arguments))


def _be_quiet(ray_data: Any) -> None:
    context = ray_data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    for name in ("ray.data", "ray"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _cause(error: Exception) -> str:
    """Return the reason in the last line of what is a traceback of another process."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return shorten(lines[-1] if lines else type(error).__name__)
