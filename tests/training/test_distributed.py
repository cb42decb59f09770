"""Two processes (gloo), each as a machine of its own, train as one does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from n2b.training.checkpoint import load_checkpoint

from .conftest import Train

pytestmark = pytest.mark.timeout(600)  # each test starts four new processes

ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}  # before a training here changes the environment
TRAIN = "from n2b.training.cli import main; main()"


def train_in_two(folder: Path, out: str, *options: str) -> list[subprocess.CompletedProcess[str]]:
    """Train on two nodes of one process each, which share no folder but the images'."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    nodes = []
    for rank in ("0", "1"):
        own = folder / f"node{rank}"
        own.mkdir()
        (own / "train.py").write_text(TRAIN)
        launcher = [
            "-m", "torch.distributed.run", "--nnodes", "2", "--node-rank", rank, "--nproc-per-node", "1",
            "--master-addr", "127.0.0.1", "--master-port", port,
        ]  # fmt: skip
        nodes.append(subprocess.Popen(
            [sys.executable, *launcher, "train.py", "--out", out, *options],
            cwd=own, env=ONE_THREAD, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ))  # fmt: skip
    printed = [node.communicate() for node in nodes]
    return [
        subprocess.CompletedProcess(node.args, node.returncode, *both)
        for node, both in zip(nodes, printed, strict=True)
    ]


def losses(run: Path, name: str) -> list[float]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run))
    events.Reload()
    return [point.value for point in events.Scalars(f"loss/{name}")]


@pytest.mark.parametrize("method", ["n2b"])
@pytest.mark.usefixtures("one_thread")
def test_two_processes_have_the_losses_of_one(
    image_folder: Path, tmp_path: Path, method: str, n2b_train: Train
) -> None:
    options = [
        "--noisy", str(image_folder), "--noise", "gaussian:25", "--method", method, "--arch", "edge",
        "--steps", "40", "--batch", "4", "--patch", "32", "--device", "cpu", "--precision", "fp32",
        "--turn-noise", "--lr", "1e-4",
    ]  # fmt: skip
    status, _, errors = n2b_train("--out", "alone", *options)
    assert status == 0, errors
    first_node, second_node = train_in_two(tmp_path, "shared", *options)
    assert (first_node.returncode, second_node.returncode) == (0, 0), first_node.stderr + second_node.stderr
    assert first_node.stdout.count("checkpoint:") == 1 and "checkpoint:" not in second_node.stdout
    shared = tmp_path / "node0" / "shared"
    for name in ("n2b", "n2c"):
        assert losses(shared, name) == pytest.approx(losses(tmp_path / "alone", name), rel=1e-3)
    first, second = (load_checkpoint(run)["networks"]["denoiser"] for run in (tmp_path / "alone", shared))
    for name, weight in first.items():
        torch.testing.assert_close(second[name], weight, rtol=1e-2, atol=1e-4)


def test_a_batch_that_cannot_be_shared_is_refused(image_folder: Path, tmp_path: Path) -> None:
    options = ["--noisy", str(image_folder), "--noise", "gaussian:25", "--steps", "1", "--device", "cpu"]
    nodes = train_in_two(tmp_path, "run", *options, "--batch", "3", "--patch", "32")
    assert all(node.returncode != 0 for node in nodes)
    assert "cannot be divided by 2 processes" in nodes[0].stderr
