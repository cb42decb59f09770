"""Two processes on one machine (gloo) train as one does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from n2b.training.checkpoint import load_checkpoint

from .conftest import Train

pytestmark = pytest.mark.timeout(300)  # each test starts three new processes

ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}  # before a training here changes the environment
TRAIN = "from n2b.training.cli import main; main()"


def train_in_two(folder: Path, out: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "train.py").write_text(TRAIN)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [sys.executable, *launcher, "train.py", "--out", out, *options],
        cwd=folder, env=ONE_THREAD, capture_output=True, text=True, check=False,
    )  # fmt: skip


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
    shared = train_in_two(tmp_path, "shared", *options)
    assert shared.returncode == 0, shared.stderr
    assert shared.stdout.count("checkpoint:") == 1
    for name in ("n2b", "n2c"):
        assert losses(tmp_path / "shared", name) == pytest.approx(losses(tmp_path / "alone", name), rel=1e-3)
    first, second = (load_checkpoint(tmp_path / run)["networks"]["denoiser"] for run in ("alone", "shared"))
    for name, weight in first.items():
        torch.testing.assert_close(second[name], weight, rtol=1e-2, atol=1e-4)


def test_a_batch_that_cannot_be_shared_is_refused(image_folder: Path, tmp_path: Path) -> None:
    options = ["--noisy", str(image_folder), "--noise", "gaussian:25", "--steps", "1", "--device", "cpu"]
    done = train_in_two(tmp_path, "run", *options, "--batch", "3", "--patch", "32")
    assert done.returncode != 0
    assert "cannot be divided by 2 processes" in done.stderr
