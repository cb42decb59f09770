"""The command lines of n2b-train for the paper's tables."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from n2b.runtime.errors import EnvironmentFault
from n2b.training import cli, loop
from n2b.training.config import TrainConfig

from benchmarks.paper.experiments import Condition, Table, Trained, tables
from benchmarks.paper.images import training_images
from benchmarks.paper.settings import Settings
from benchmarks.paper.train import train, training_options


def _config(options: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """The configuration that n2b-train makes of its options."""
    seen: list[TrainConfig] = []

    def end(config: TrainConfig, run: Path, *, resume: bool, on_begin: Callable[[], object]) -> Path:
        assert not resume and callable(on_begin)
        seen.append(config)
        return run

    monkeypatch.setattr(loop, "train", end)
    monkeypatch.setattr(sys, "argv", ["n2b-train", *options])
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 0
    return seen[0]


def _trainings(some: tuple[Table, ...]) -> dict[tuple[Condition, Trained], None]:
    return {
        (cell.condition, cell.system): None
        for table in some
        for cell in table.cells
        if isinstance(cell.system, Trained)
    }


def test_n2b_train_understands_every_training_of_the_tables(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, (condition, system) in enumerate(_trainings(tables(["camera"]))):
        images = training_images(condition, system, settings)
        options = training_options(condition, system, settings, images, tmp_path / str(number))
        config = _config(options, tmp_path, monkeypatch)
        assert (config.method, config.recipe, config.noise) == (system.method, system.recipe, condition.noise)
        has_own_crops = "--patch" in system.options
        assert (config.steps, config.batch, config.patch_px) == ((3, 4, 128) if has_own_crops else (3, 1, 32))
        assert config.noisy == tuple(map(str, images.noisy))
        if system.filter != "auto":
            assert config.filter == system.filter


def test_a_failure_of_n2b_train_is_its_last_line(settings: Settings, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "n2b"
    run.mkdir(parents=True)
    (run / "config.json").write_text("{}")  # a damaged run to go on with
    condition, system = next(iter(_trainings(tables())))
    with pytest.raises(EnvironmentFault, match=r"n2b-train: .*config\.json is damaged"):
        train(condition, system, settings, run)
