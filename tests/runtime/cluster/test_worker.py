"""A process of a cluster, without one: what it does with a batch, and after another process died over it."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from n2b.runtime.cluster.ledger import Ledger
from n2b.runtime.cluster.model import ShippedModel
from n2b.runtime.cluster.worker import MOST_DEATHS, ImageWorker, Outcome, Task, WorkerSettings, describe_model
from n2b.runtime.commands.opened_model import OpenModel
from n2b.runtime.commands.settings import DenoiserOptions
from n2b.runtime.errors import ModelError, N2BError
from n2b.runtime.images.image import Image, read_image, write_image
from n2b.runtime.system import memory
from n2b.runtime.system.memory import usable_cores


@pytest.fixture(autouse=True)
def own_limit(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo the limit of cores, which is meant for a process of its own."""
    import cv2

    threads = cv2.getNumThreads()
    monkeypatch.setattr(memory, "_limit", None)
    yield
    cv2.setNumThreads(threads)


@pytest.fixture
def settings(make_model) -> WorkerSettings:
    options = DenoiserOptions(model=make_model("negative"))
    return WorkerSettings(ShippedModel.read(options), options, threads=1, per_machine=1)


@pytest.fixture
def tasks(tmp_path: Path) -> list[Task]:
    found = []
    for number in range(3):
        source = tmp_path / "in" / f"{number}.png"
        write_image(source, Image(np.full((8, 8, 3), number, np.uint8)))
        found.append(Task(number, str(source), str(tmp_path / "out" / source.name)))
    return found


def run(settings: WorkerSettings, ledger: Ledger, tasks: list[Task]) -> list[Outcome]:
    worker = ImageWorker(settings, ledger)
    try:
        rows = worker({"task": [pickle.dumps(task) for task in tasks]})["outcome"]
    finally:
        worker.close()
    return [pickle.loads(row) for row in rows]


def errors(outcomes: list[Outcome]) -> dict[int, str | None]:
    reports = {one.number: one.report for one in outcomes}
    return {
        number: None if one is None or one.error is None else str(one.error)
        for number, one in reports.items()
    }


def test_an_image_over_which_each_process_dies_is_given_up_and_the_others_are_done(settings, tasks):
    ledger = Ledger()
    ledger.is_repeated(0)  # the first process died over the batch, the next over its second image, each time
    (first,) = run(settings, ledger, tasks[:1])
    for _ in range(MOST_DEATHS):
        ledger.begin(1)
    outcomes = run(settings, ledger, tasks)
    assert errors(outcomes) == {0: None, 1: errors(outcomes)[1], 2: None}
    assert "1.png: its process died each time" in (errors(outcomes)[1] or "")
    assert outcomes[0] == first, "it is not done again"
    assert read_image(tasks[2].destination).pixels.max() == 253
    assert not Path(tasks[1].destination).exists()


def test_a_result_of_the_same_input_is_skipped(settings, tasks):
    (made, *_) = run(settings, Ledger(), tasks)
    Path(tasks[0].destination).unlink()
    same = Task(0, tasks[0].source, tasks[0].destination, finished_sha256=made.sha256)
    other = Task(1, tasks[1].source, tasks[1].destination, finished_sha256=made.sha256)
    outcomes = run(settings, Ledger(), [same, other])
    assert {one.number: one.report is None for one in outcomes} == {0: True, 1: False}
    assert not Path(tasks[0].destination).exists()


def test_a_model_that_does_not_open_ends_the_run(settings, tasks, tmp_path):
    broken = WorkerSettings(
        ShippedModel(tmp_path, {"model.onnx": b"no model"}, "model.onnx"), settings.options, 1, 1
    )
    described = describe_model(broken)
    assert isinstance(described, ModelError)
    (outcome,) = run(broken, Ledger(), tasks)
    assert isinstance(outcome.fault, ModelError) and "cannot be loaded" in str(outcome.fault)


def test_the_model_is_opened_as_described_with_its_threads(settings):
    described = describe_model(settings)
    assert isinstance(described, OpenModel) and not isinstance(described, N2BError)
    assert (described.backend, described.device, usable_cores()) == ("onnxruntime", "cpu", 1)
    pinned = described.pin(settings.options)
    assert (pinned.backend, pinned.tile, pinned.halo_px) == ("onnxruntime", described.tile_hw[0], 0)
