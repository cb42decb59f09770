"""The command of the paper's tables, with the training left out: with an untrained network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from n2b.runtime.errors import EnvironmentFault
from n2b.training.checkpoint import CHECKPOINT_NAME, save_checkpoint
from n2b.training.models.registry import build_denoiser

from benchmarks.paper import runner
from benchmarks.paper.__main__ import build_parser, main
from benchmarks.paper.experiments import (
    GAUSSIAN_25,
    N2B,
    PAPER_PSNR_DB,
    Condition,
    LabelNoise,
    Trained,
    tables,
)
from benchmarks.paper.images import Pair
from benchmarks.paper.measure import known_sigma, measure, measure_label
from benchmarks.paper.plan import describe, plan
from benchmarks.paper.provenance import public_command
from benchmarks.paper.settings import Settings
from benchmarks.paper.store import Store

ONE_TABLE = ["--only", "ablation"]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Trained]:
    """The systems whose training was asked for."""
    asked: list[Trained] = []

    def train(_: Condition, system: Trained, settings: Settings, run: Path) -> None:
        asked.append(system)
        run.mkdir(parents=True)
        torch.manual_seed(0)
        weights = build_denoiser(settings.arch).state_dict()
        config = {"arch": settings.arch, "domain": "linear"}
        save_checkpoint(
            run / CHECKPOINT_NAME, {"config": config, "trained": {}, "networks": {"denoiser": weights}}
        )

    monkeypatch.setattr(runner, "train", train)
    return asked


def _words(settings: Settings, tmp_path: Path, *more: str) -> list[str]:
    words = ["--data", settings.data[0], "--test", settings.test, "--real", settings.real[0]]
    words += ["--steps", 3, "--arch", settings.arch, "--noisy-images", 3, "--clean-images", 2, "--images", 2]
    words += ["--crop", 24, "--device", "cpu", "--work", tmp_path / "work"]
    words += ["--out", tmp_path / "out", "--docs", tmp_path / "docs"]
    return [*map(str, words), *more]


def test_every_table_has_its_cells() -> None:
    found = {table.name: table for table in tables(["polyu"])}
    assert list(found) == [
        "table1",
        "table2",
        "table3",
        "camera",
        "text",
        "ablation",
        "default",
        "architectures",
    ]
    for table in found.values():
        places = [(cell.row, cell.column) for cell in table.cells]
        assert len(set(places)) == len(places)
    methods = {cell.system.method for cell in found["table1"].cells if isinstance(cell.system, Trained)}
    assert methods == {"n2v", "n2n", "supervised", "n2b", "n2b-v"}


def test_the_figures_of_the_paper_stand_beside_cells_that_exist() -> None:
    places = {(table.name, cell.row, cell.column) for table in tables() for cell in table.cells}
    assert PAPER_PSNR_DB.keys() <= places


def test_a_training_that_two_tables_share_is_planned_once(settings: Settings, tmp_path: Path) -> None:
    work = plan(tables(["camera"]), settings, Store(tmp_path / "work", settings))
    shared = [item for item in work if item.trains and item.system == N2B and item.condition == GAUSSIAN_25]
    assert len(shared) == 1
    assert "in all about" in describe(work, settings)


def test_each_cell_is_kept_by_itself(settings: Settings, tmp_path: Path) -> None:
    store = Store(tmp_path / "work", settings)
    places = list({(cell.condition, cell.system) for table in tables(["camera"]) for cell in table.cells})
    for number, place in enumerate(places):
        store.keep(*place, {"psnr_db": number})
    kept = [store.result_of(*place) for place in places]
    assert kept == [{"psnr_db": number} for number in range(len(places))]
    assert len({store.image_of(*place) for place in places}) == len(places)


def test_a_dry_run_does_nothing(
    settings: Settings, tmp_path: Path, trained: list[Trained], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(_words(settings, tmp_path, "--dry-run")) == 0
    said = capsys.readouterr().out
    assert said.count("\ntrain ") + said.startswith("train ") == int(
        said.split(" trainings: ")[0].split()[-1]
    )
    assert "Gaussian, σ = 25: n2b-v " in said
    assert not trained
    assert not (tmp_path / "work").exists()


def test_tables_are_written_with_what_made_them(
    settings: Settings, tmp_path: Path, trained: list[Trained]
) -> None:
    assert main(_words(settings, tmp_path, *ONE_TABLE)) == 0
    assert len(trained) == 5
    content = json.loads((tmp_path / "out" / "paper.json").read_text())
    assert content["settings"]["steps"] == 3
    assert content["versions"]["torch"] == torch.__version__
    cells = next(table["cells"] for table in content["tables"] if table["name"] == "ablation")
    assert all(cell["measured"]["images"] == 2 for cell in cells)
    text = (tmp_path / "docs" / "paper.md").read_text()
    assert f"{cells[0]['measured']['psnr_db']:.2f}" in text
    assert "Removal of text" not in text
    assert str(tmp_path) not in text + json.dumps(content)


def test_what_is_done_is_not_done_again(settings: Settings, tmp_path: Path, trained: list[Trained]) -> None:
    main(_words(settings, tmp_path, *ONE_TABLE))
    trained.clear()
    assert main(_words(settings, tmp_path, *ONE_TABLE, "--resume")) == 0
    assert not trained
    with pytest.raises(SystemExit):
        main(_words(settings, tmp_path, *ONE_TABLE))  # without --resume


def test_other_settings_are_other_work(settings: Settings, tmp_path: Path, trained: list[Trained]) -> None:
    main(_words(settings, tmp_path, *ONE_TABLE))
    trained.clear()
    main(_words(settings, tmp_path, *ONE_TABLE, "--resume", "--seed", "1"))
    assert len(trained) == 5


def test_a_training_that_fails_is_reported_and_the_rest_goes_on(
    settings: Settings, tmp_path: Path, trained: list[Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    succeed = runner.train

    def fail_as_published(condition: Condition, system: Trained, settings: Settings, run: Path) -> None:
        if system.recipe == "paper":
            raise EnvironmentFault("the loss is no longer finite")
        succeed(condition, system, settings, run)

    monkeypatch.setattr(runner, "train", fail_as_published)
    assert main(_words(settings, tmp_path, *ONE_TABLE)) == 1
    text = (tmp_path / "out" / "paper.md").read_text()
    assert "| N2B, as published (recipe paper) | – |" in text
    assert "recipe paper: the loss is no longer finite" in text
    assert len(trained) == 4


@pytest.mark.usefixtures("trained")
def test_images_are_side_by_side(settings: Settings, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("bm3d")
    assert main(_words(settings, tmp_path, "--only", "table3")) == 0
    image = tmp_path / "docs" / "images" / "paper-real.jpg"
    assert 0 < image.stat().st_size < 300_000
    assert "](images/paper-real.jpg)" in (tmp_path / "docs" / "paper.md").read_text()


def test_a_table_that_does_not_exist(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(_words(settings, tmp_path, "--only", "table9"))


def test_the_command_is_given_without_folders_of_this_machine() -> None:
    parser = build_parser()
    words = "--data /home/me/clean --test /home/me/bsd300_test --only table1,text --steps 9 --resume"
    assert public_command(parser, parser.parse_args(words.split())) == (
        "python -m benchmarks.paper --data CLEAN --test BSD300_TEST --only table1,text --steps 9"
    )


def test_measuring_a_perfect_and_a_known_result() -> None:
    clean = np.full((16, 16, 3), 100, np.uint8)
    pair = Pair(clean + np.uint8(10), clean)
    figures, first = measure(lambda noisy: noisy, [pair])
    assert figures["psnr_db"] == pytest.approx(20 * np.log10(25.5))
    assert np.array_equal(first, pair.noisy)
    assert measure(lambda noisy: noisy - np.uint8(10), [pair])[0]["psnr_db"] == 99


def test_noise_left_by_a_mean_is_that_of_its_window() -> None:
    clean = np.full((64, 64, 3), 128, np.uint8)
    noise = 25 * np.random.default_rng(0).standard_normal(clean.shape)
    pair = Pair(np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8), clean)
    left = measure_label(LabelNoise("mean:5"), GAUSSIAN_25, [pair])["share"]
    assert left == pytest.approx(1 / 5, rel=0.15)  # of 25 values the mean has a fifth of the noise


@pytest.mark.parametrize(
    ("noise", "sigma"),
    [("gaussian:25", 25), ("gaussian:0-50", None), ("gaussian:5+jpeg:80", None), ("speckle:0.1", None)],
)
def test_sigma_is_known_of_gaussian_noise_of_one_level(noise: str, sigma: float | None) -> None:
    assert known_sigma(Condition("", noise)) == sigma
