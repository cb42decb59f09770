from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from n2b.runtime.errors import UserError
from n2b.runtime.system.options import options_of
from n2b.training.config import TrainConfig, load_config
from n2b.training.data.sources import noisy_sources
from n2b.training.recipes import RECIPE_FIELDS, RECIPES, recipe_for
from n2b.training.run import (
    absolute_inputs,
    complete_config,
    link_latest_run,
    new_run,
    resumed_run,
)


def begin(out: Path | None, given: dict[str, object] | None = None) -> Path:
    """Begin a run that does not fail; return its folder."""
    with new_run(out, given or {"noisy": ("x",)}) as (run, _):
        link_latest_run(run)
    return run


def entries(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_sets_fields_that_exist(recipe: str) -> None:
    config = complete_config({"noisy": ("x",), "recipe": recipe})
    assert config.recipe == recipe
    assert all(getattr(config, name) == value for name, value in RECIPES[recipe].items() if value != "auto")


def test_the_default_recipe_takes_the_noise_of_flat_areas_where_it_lies_bare() -> None:
    def has_it(noise: str, method: str = "n2b") -> bool:
        return complete_config({"noisy": ("x",), "noise": noise, "method": method}).flat_noise

    assert all(map(has_it, ("gaussian:25", "poisson:2,3", "gaussian:10-30+jpeg:80")))
    assert not any(
        map(has_it, ("speckle:0.1", "saltpepper:0.5", "text:0.2", "jpeg:80", "gaussian:5+text:0.2"))
    )
    assert not has_it("gaussian:25", "n2v")


def test_the_default_recipe_replaces_pixels_where_the_noise_does() -> None:
    def replaces(noise: str, method: str = "n2b") -> bool:
        return complete_config({"noisy": ("x",), "noise": noise, "method": method}).replace

    assert all(map(replaces, ("saltpepper:0.5", "text:0.2")))
    assert not any(map(replaces, ("gaussian:25", "speckle:0.1", "gaussian:5+text:0.2")))
    assert not replaces("text:0.2", "n2b-v")


def test_what_is_named_goes_before_the_recipe() -> None:
    config = complete_config({"noisy": ("x",), "recipe": "paper", "schedule": "cosine"})
    assert config.schedule == "cosine"
    assert not config.bounded


def test_real_noise_takes_its_recipe_unless_another_is_named() -> None:
    assert recipe_for(None, noise=None, method="n2b") == "real"
    assert recipe_for(None, noise=None, method="n2v") == "default"
    assert recipe_for(None, noise="gaussian:25", method="n2b") == "default"
    assert recipe_for("paper", noise=None, method="n2b") == "paper"
    with pytest.raises(UserError, match="known: default, paper, real"):
        recipe_for("stew", noise=None, method="n2b")


@pytest.mark.parametrize(
    ("noise", "filter", "domain"),
    [
        ("gaussian:25", "bilateral", "linear"),
        ("speckle:0.1", "median:35", "log"),
        ("saltpepper:0.3", "median:31", "linear"),
        ("text:0.1", "median:35", "linear"),
    ],
)
def test_the_noise_decides_the_filter_and_the_domain(noise: str, filter: str, domain: str) -> None:
    config = complete_config({"noisy": ("x",), "noise": noise})
    assert (config.filter, config.domain) == (filter, domain)
    assert complete_config({"noisy": ("x",), "noise": noise, "filter": "mean:9"}).filter == "mean:9"


def test_nothing_named_means_samples_for_a_few_minutes(capsys: pytest.CaptureFixture[str]) -> None:
    config = complete_config({})
    assert (config.noise, config.minutes, config.steps) == ("gaussian:25", 3.0, None)
    assert config.noisy
    assert "sample photographs" in capsys.readouterr().out
    assert complete_config({"steps": 5}).steps == 5


def test_inputs_become_absolute_but_cameras_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = ["a/*.png", "camera:0", "dnd:set", "rtsp://host/stream"]
    expected = (f"{tmp_path}/a/*.png", "camera:0", f"dnd:{tmp_path}/set", "rtsp://host/stream")
    assert absolute_inputs(given) == expected


def test_of_several_processes_the_first_saves_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    named = {"noisy": ("x",), "steps": 3}
    with pytest.raises(UserError, match="--out"):
        begin(None, named)
    begin(tmp_path / "run", named)
    assert not (tmp_path / "run").exists()
    monkeypatch.setenv("RANK", "0")
    begin(tmp_path / "run", named)
    assert load_config(tmp_path / "run").steps == 3


def test_a_resumed_run_says_by_option_what_differs(tmp_path: Path) -> None:
    TrainConfig(noisy=("x",), steps=2).save(tmp_path)
    with pytest.raises(UserError, match=r"--lr was 0\.001; --patch was 128; omit"):
        resumed_run(tmp_path, {"learning_rate": 1e-4, "patch_px": 64, "steps": 2})
    assert resumed_run(tmp_path, {"steps": 2})[1].steps == 2


@pytest.mark.parametrize("other", [{"anchor": True}, {"loss": "rms"}, {"noise_gain": (0.5, 2.0)}])
def test_replacing_is_refused_with_what_does_not_do_it(other: dict[str, object]) -> None:
    with pytest.raises(UserError, match=r"--replace does not go with .* --add"):
        complete_config({"noisy": ("x",), "noise": "text:0.2", **other})
    assert not complete_config({"noisy": ("x",), "noise": "text:0.2", "replace": False, **other}).replace


@pytest.mark.parametrize("error", [UserError("no image"), KeyboardInterrupt(), RuntimeError(), MemoryError()])
@pytest.mark.parametrize("has_begun", [False, True])
def test_a_run_that_fails_before_its_first_checkpoint_leaves_all_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, has_begun: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "notes").mkdir(parents=True)
    (tmp_path / "mine" / "notes" / "a.txt").write_text("mine")
    (tmp_path / "empty").mkdir()
    first: Path | None = None
    for earlier in (False, True):
        if earlier:
            first = begin(None)
        before = entries(tmp_path)
        for out in (None, Path("below") / "new", Path("empty"), Path("mine")):
            with pytest.raises(type(error)), new_run(out, {"noisy": ("x",)}) as (run, _):
                (run / "report").mkdir()
                (run / "report" / "index.html").touch()
                (run / "metrics.jsonl").touch()
                if has_begun:
                    link_latest_run(run)
                raise error
            assert entries(tmp_path) == before
        if first is not None:
            assert (tmp_path / "runs" / "latest").resolve() == first.resolve()
    begin(Path("mine"))  # the corrected command


def test_the_latest_run_is_one_that_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with new_run(None, {"noisy": ("x",)}) as (run, _):
        assert run.is_dir()
        assert not (tmp_path / "runs" / "latest").is_symlink()
        link_latest_run(run)
        assert (tmp_path / "runs" / "latest").resolve() == run.resolve()


def test_a_run_with_a_checkpoint_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError), new_run(None, {"noisy": ("x",)}) as (run, _):
        link_latest_run(run)
        (run / "checkpoint.pt").touch()
        raise UserError("the disk is full")
    assert (tmp_path / "runs" / "latest").resolve() == run.resolve()
    assert (run / "config.json").exists()


def test_two_runs_never_have_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: begin(None), range(4)))
    assert len({run.resolve() for run in runs}) == 4
    with (
        new_run(tmp_path / "named", {"noisy": ("x",)}),
        pytest.raises(UserError, match="already contains a run; continue it with --resume, or choose"),
        new_run(tmp_path / "named", {"noisy": ("y",)}),
    ):
        pass
    assert load_config(tmp_path / "named").noisy == ("x",)


def test_a_camera_is_saved_without_its_password_and_resumed_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    addresses = ("rtsp://me:SEC@RET@host/1", "http://host/v?user=me&pwd=SEC RET")
    given = {"noisy": addresses, "clean": (str(tmp_path),), "steps": 1}
    with new_run(tmp_path / "run", given) as (run, config):
        link_latest_run(run)
        (run / "checkpoint.pt").touch()
    assert config.noisy == addresses
    saved = (run / "config.json").read_text()
    assert "SEC" not in saved
    assert "RET" not in saved
    assert resumed_run(run, {})[1].noisy == ("rtsp://…@host/1", "http://host/v?user=…&pwd=…")
    assert resumed_run(run, {"noisy": addresses})[1].noisy == addresses
    with pytest.raises(UserError, match=r"--noisy was .*rtsp://…@host/1") as caught:
        resumed_run(run, {"noisy": ("rtsp://me:SEC@other/1",)})
    assert "SEC" not in str(caught.value)
    with pytest.raises(UserError, match="give its complete address again with --noisy"):
        noisy_sources(resumed_run(run, {})[1], run)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"noisy": ("a.png",)},
        {"noisy": ("a.png",), "initial": "gaussian", "arch": "unet"},
        {"noisy": ("a.png",), "recipe": "paper"},
        {"noisy": ("a.png",), "noise": "gaussian:25"},
        {"noisy": ("a.png",), "noise": "text:0.2"},
        {"noisy": ("a.png",), "noise": "gaussian:25", "method": "n2n"},
        {"noisy": ("a.png",), "noise": "speckle:0.1", "method": "supervised"},
    ],
)
def test_each_default_that_the_help_shows_is_what_a_run_gets(given: dict[str, Any]) -> None:
    config = complete_config(given)
    explained = {name for name, option in options_of(TrainConfig).items() if option.default_text is not None}
    by_the_input = {"noisy", "noise", "domain"}
    for field in dataclasses.fields(TrainConfig):
        if field.name not in {*given, *explained, *RECIPE_FIELDS, *by_the_input}:
            assert getattr(config, field.name) == field.default, field.name
