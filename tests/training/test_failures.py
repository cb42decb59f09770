"""A run that fails leaves whole files, or none."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch
from n2b.runtime.errors import EnvironmentFault, ModelError, UserError
from n2b.training.checkpoint import load_checkpoint
from n2b.training.config import TrainConfig
from n2b.training.loop import train
from n2b.training.objectives import Batch
from n2b.training.objectives.noise2blur import Noise2Blur

from .conftest import save_images


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    folder = save_images(tmp_path / "images", 4)
    return TrainConfig(
        noisy=(str(folder),), noise="gaussian:25", arch="edge", steps=60, batch=2, patch_px=32,
        device="cpu", precision="fp32", checkpoint_every=7,
    )  # fmt: skip


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_step(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Noise2Blur.losses
    calls = 0

    def spoilt(self: Noise2Blur, batch: Batch, *, is_initial: bool) -> dict[str, torch.Tensor]:
        nonlocal calls
        calls += 1
        losses = whole(self, batch, is_initial=is_initial)
        return {name: loss * float("nan") for name, loss in losses.items()} if calls == 33 else losses

    monkeypatch.setattr(Noise2Blur, "losses", spoilt)
    with pytest.raises(EnvironmentFault, match="no longer finite at step 33") as raised:
        train(config, tmp_path / "run")
    assert "keeps the last good state" in str(raised.value)
    state = load_checkpoint(tmp_path / "run")
    assert state["position"]["step"] == 28  # the last multiple of checkpoint_every before it
    assert all(weight.isfinite().all() for weight in state["networks"]["denoiser"].values())


def test_a_full_disk_keeps_the_last_checkpoint(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = torch.save
    calls = 0

    def fill_the_disk(state: object, path: Path) -> None:
        nonlocal calls
        calls += 1
        write(state, path)
        if calls == 3:
            with path.open("r+b") as file:
                file.truncate(1000)
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", fill_the_disk)
    with pytest.raises(UserError, match="No space left on device; free space"):
        train(config, tmp_path / "run")
    assert load_checkpoint(tmp_path / "run")["position"]["step"] == 14
    assert not list((tmp_path / "run").glob(".*"))


def test_a_report_that_cannot_be_written_does_not_spoil_the_run(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fill_the_disk(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("n2b.training.report.write_report", fill_the_disk)
    assert train(config, tmp_path / "run").is_file()
    assert "no report: [Errno 28] No space left on device; the checkpoint is complete" in caplog.text


def test_a_run_can_start_from_anothers_weights_without_an_initial_stage(
    config: TrainConfig, tmp_path: Path
) -> None:
    import dataclasses

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
    import dataclasses

    averaged = dataclasses.replace(config, average=0.9, steps=20)
    state = load_checkpoint(train(averaged, tmp_path / "run"))
    last, average = state["networks"]["denoiser"], state["averaged"]
    assert last.keys() == average.keys()
    assert any(not torch.equal(last[name], average[name]) for name in last)
    assert state["averages"] == 19  # since the convergence stage began, at step 1
