"""Measure how the speed of n2b-infer --ray grows with the number of its models, of one thread each.

python -m benchmarks.ray_scaling [--actors 1 2] [--images 24] [--side 512] [--model gaussian]

The cluster is started once. Of each run the time from its first result to its last counts, which leaves out
the start of the processes; the whole run is printed too. Numbers of models alternate, and the best of each
counts. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from n2b.runtime.cluster.model import ShippedModel
from n2b.runtime.cluster.pool import connect, divide, open_once, run_tasks
from n2b.runtime.cluster.settings import LOCAL, ClusterOptions
from n2b.runtime.cluster.worker import Task, WorkerSettings
from n2b.runtime.commands.settings import DenoiserOptions
from n2b.runtime.images.image import Image, write_image


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--actors", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--model", default="gaussian")
    parser.add_argument("--backend", default="onnxruntime")
    parser.add_argument("--repeats", type=int, default=2)
    given = parser.parse_args()
    options = DenoiserOptions(model=given.model, backend=given.backend)
    with tempfile.TemporaryDirectory() as folder, connect(LOCAL):
        _write_images(Path(folder), given.images, given.side)
        best: dict[int, float] = {}
        for _ in range(given.repeats):
            for actors in given.actors:
                images_per_s, whole_s = _run(Path(folder), given.images, actors, options)
                best[actors] = max(best.get(actors, 0), images_per_s)
                rate = images_per_s * given.side**2 / 1e6
                print(
                    f"{actors} models: {rate:.3f} MP/s from first to last, {whole_s:.1f} s in all", flush=True
                )
    fewest = min(best)
    for actors, rate in best.items():
        print(f"{actors} models: {rate / best[fewest] / (actors / fewest):.2f} of linear from {fewest}")


def _write_images(folder: Path, count: int, side: int) -> None:
    random = np.random.default_rng(0)
    smooth = np.linspace(60, 190, side)[:, None, None] * np.ones((1, side, 3))
    for number in range(count):
        noisy = smooth + random.normal(0, 25, smooth.shape)
        write_image(folder / f"{number}.png", Image(noisy.clip(0, 255).astype(np.uint8)))


def _run(folder: Path, images: int, actors: int, options: DenoiserOptions) -> tuple[float, float]:
    """Return images per second between the first result and the last, and the seconds of the whole run."""
    pool = divide(ClusterOptions(ray=LOCAL, ray_actors=actors, ray_threads=1), options.device)
    settings = WorkerSettings(ShippedModel.read(options), options, pool.threads, pool.per_machine)
    settings = WorkerSettings(
        settings.model, open_once(settings, pool).pin(options), pool.threads, pool.per_machine
    )
    out = folder / f"out{actors}"
    tasks = [Task(n, str(folder / f"{n}.png"), str(out / f"{n}.png")) for n in range(images)]
    started = time.perf_counter()
    for outcome in run_tasks(tasks, settings, pool):
        assert outcome.report is not None and outcome.report.error is None
    whole_s = time.perf_counter() - started
    # A result counts when its file has its name, which is before Ray tells of it.
    written = sorted((out / f"{n}.png").stat().st_mtime_ns for n in range(images))
    return (images - actors) / ((written[-1] - written[actors - 1]) / 1e9), whole_s


if __name__ == "__main__":
    main()
