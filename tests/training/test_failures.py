"""A run that fails leaves whole files, or none."""

from __future__ import annotations

import dataclasses
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from n2b.runtime.errors import EnvironmentFault, ModelError, UserError
from n2b.training.checkpoint import load_checkpoint
from n2b.training.config import TrainConfig
from n2b.training.loop import train
from n2b.training.metrics import MetricsLog

from .conftest import save_images
from .noise_model.models import simple_model


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    folder = save_images(tmp_path / "images", 4)
    return TrainConfig(
        noisy=(str(folder),), noise="gaussian:25", arch="edge", steps=60, batch=2, patch_px=32,
        device="cpu", precision="fp32", checkpoint_every=7,
    )  # fmt: skip


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_step(
    config: TrainConfig, tmp_path: Path
) -> None:
    wild = dataclasses.replace(
        config, learning_rate=10.0, bounded=False, warmup_steps=0, schedule="constant", checkpoint_every=1
    )
    with pytest.raises(EnvironmentFault, match=r"no longer finite at step (\d+)") as raised:
        train(wild, tmp_path / "run")
    assert "keeps the last good state" in str(raised.value)
    state = load_checkpoint(tmp_path / "run")
    assert f"at step {state['position']['step'] + 1}" in str(raised.value)
    assert all(weight.isfinite().all() for weight in state["networks"]["denoiser"].values())


def test_a_checkpoint_that_cannot_be_written_keeps_the_last_one(config: TrainConfig, tmp_path: Path) -> None:
    checkpoint = train(dataclasses.replace(config, steps=2), tmp_path / "run")
    longer = dataclasses.replace(config, steps=4)
    largest = checkpoint.stat().st_size // 2
    with files_of_at_most(largest), pytest.raises(UserError, match=r"cannot write .*checkpoint\.pt"):
        train(longer, tmp_path / "run", resume=True)
    assert load_checkpoint(tmp_path / "run")["position"]["step"] == 2
    assert not list((tmp_path / "run").glob(".*"))


@pytest.mark.parametrize("name", ["metrics.jsonl", "noise.json", "config.json"])
def test_other_files_that_cannot_be_written_are_named_in_one_line(tmp_path: Path, name: str) -> None:
    with files_of_at_most(1), pytest.raises(UserError, match=rf"cannot write .*{name}: .*; ") as raised:
        if name == "metrics.jsonl":
            (tmp_path / name).touch()
            MetricsLog.add(MetricsLog(tmp_path), 1, {"loss/n2b": 0.5})
        elif name == "noise.json":
            simple_model().save(tmp_path / name)
        else:
            TrainConfig(noisy=("x",), steps=1).save(tmp_path)
    assert "\n" not in str(raised.value)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Refuse to write beyond `size` bytes of a file, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_report_that_cannot_be_written_does_not_spoil_the_run(
    config: TrainConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "report").touch()  # where its folder would be
    assert train(dataclasses.replace(config, steps=2), run).is_file()
    assert re.search(r"no report: cannot write .*File exists.*; the checkpoint is complete", caplog.text)


def test_a_run_can_start_from_anothers_weights_without_an_initial_stage(
    config: TrainConfig, tmp_path: Path
) -> None:
    first = train(dataclasses.replace(config, steps=3), tmp_path / "first")
    second = dataclasses.replace(config, steps=1, initial=str(first), learning_rate=1e-9)
    state = load_checkpoint(train(second, tmp_path / "second"))
    before = load_checkpoint(first)["networks"]
    for network, weights in state["networks"].items():
        for name, weight in weights.items():
            torch.testing.assert_close(weight, before[network][name], rtol=0, atol=1e-6)
    assert state["position"]["stage_start"] == 0
    with pytest.raises(ModelError, match="--arch"):
        train(dataclasses.replace(second, arch="unet"), tmp_path / "third")


def test_the_average_of_the_weights_is_kept_and_resumed(config: TrainConfig, tmp_path: Path) -> None:
    averaged = dataclasses.replace(config, average=0.9, steps=10)
    state = load_checkpoint(train(averaged, tmp_path / "run"))
    last, average = state["networks"]["denoiser"], state["averaged"]
    assert last.keys() == average.keys()
    assert any(not torch.equal(last[name], average[name]) for name in last)
    assert state["averages"] == 9  # since the convergence stage began, at step 1
