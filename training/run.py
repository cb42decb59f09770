"""How a run begins: what is filled in for what was not named, its folder, or the run to go on with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..runtime.errors import MissingPackageError, UserError
from ..runtime.samples import sample_photographs
from ..runtime.sources import find_input
from ..runtime.system.run_folders import LATEST, link_latest, new_dated_folder
from .config import CONFIG_NAME, TrainConfig, load_config, option_of
from .recipes import DEFAULT, recipe_for, recipe_values

RUNS = Path("runs")
DEFAULT_STEPS = 296_000  # the paper's schedule
SAMPLE_DEFAULTS: dict[str, Any] = {
    "noise": "gaussian:25",
    "minutes": 3.0,
    "batch": 8,  # many small steps: the most for a few minutes on a CPU
    "patch_px": 64,
}


def is_first_process() -> bool:
    """Whether this process is the one that writes and prints; alone, it is."""
    return os.environ.get("RANK", "0") == "0"


def absolute_inputs(inputs: list[str] | None) -> tuple[str, ...]:
    """Return files, folders, globs and dnd:FOLDER by their absolute paths, cameras as they are named."""
    return tuple(find_input(name).absolute_name for name in inputs or ())


def parse_range(text: str | None, option: str) -> tuple[float, float] | None:
    """ "0.5-2" as (0.5, 2.0), "1" as (1.0, 1.0).

    Raises:
        UserError: it is no number, nor two.
    """
    if text is None:
        return None
    low, _, high = text.partition("-")
    try:
        return float(low), float(high or low)
    except ValueError as error:
        raise UserError(f"{option} is '{text}'; it is a range LOW-HIGH, such as 0.5-2") from error


def new_run(out: Path | None, named: dict[str, Any]) -> tuple[Path, TrainConfig]:
    """A new run's folder, with its configuration saved in it.

    Args:
        out: the folder; None: runs/<date-time>.
        named: fields of TrainConfig that the user has named.

    Raises:
        UserError: the folder holds a run, or the configuration is impossible.
    """
    config = complete_config(named)
    if out is None and os.environ.get("WORLD_SIZE", "1") != "1":
        raise UserError("several processes train one run: name its folder with --out")
    if out is not None and not is_first_process():
        return out, config
    run = out or new_dated_folder(RUNS)
    if (run / CONFIG_NAME).exists():
        raise UserError(f"{run} holds a run already; go on with it by --resume, or name another --out")
    config.save(run)
    link_latest(run, RUNS)
    return run, config


@contextmanager
def no_trace_of_failure(run: Path, before: Path | None) -> Iterator[None]:
    """Take a new run back where a UserError ends it before it has a checkpoint: there is nothing to resume.

    Args:
        run: its folder, which is left where it holds more than the configuration.
        before: what `latest_run` said before it was made.
    """
    try:
        yield
    except UserError:
        if is_first_process() and {path.name for path in run.iterdir()} <= {CONFIG_NAME}:
            (run / CONFIG_NAME).unlink()
            run.rmdir()
            if before is not None:
                link_latest(before, RUNS)
            else:
                (RUNS / LATEST).unlink(missing_ok=True)
        raise


def latest_run() -> Path | None:
    """The folder that runs/latest names; None: there is none."""
    link = RUNS / LATEST
    return link.resolve() if link.exists() else None


def complete_config(named: dict[str, Any]) -> TrainConfig:
    """What was named, then what the samples or the recipe fill in, then TrainConfig's own defaults."""
    samples = {} if named.get("noisy") else _samples(named)
    known = samples | named
    noise, method = known.get("noise"), named.get("method", TrainConfig.method)
    recipe = recipe_for(named.get("recipe"), noise=noise, method=method)
    values: dict[str, Any] = {**recipe_values(recipe, noise=noise, method=method), **known, "recipe": recipe}
    if values.get("steps") is None and values.get("minutes") is None:
        values["steps"] = DEFAULT_STEPS
    if recipe != DEFAULT and "recipe" not in named and is_first_process():
        print(f"no --noise: real noise, recipe '{recipe}'")
    return TrainConfig(**values)


def _samples(named: dict[str, Any]) -> dict[str, Any]:
    """The sample photographs, and defaults for a few minutes with them."""
    photographs = sample_photographs()
    if not photographs:
        raise MissingPackageError("scikit-image", extra="train")
    defaults: dict[str, Any] = {"noisy": tuple(map(str, photographs)), **SAMPLE_DEFAULTS}
    if named.get("steps") is not None:
        del defaults["minutes"]
    print(
        f"no images named (--noisy): training on {len(photographs)} sample photographs "
        f"with synthetic noise {named.get('noise', defaults['noise'])}"
    )
    return defaults


def resumed_run(out: Path | None, named: dict[str, Any]) -> tuple[Path, TrainConfig]:
    """The run to go on with, whose configuration must be the one that it was begun with.

    Raises:
        UserError: there is none, or something else is asked for; the message says what was.
    """
    run = out or RUNS / LATEST
    config = load_config(run)
    saved = {name: getattr(config, name) for name in named}
    if different := [f"{option_of(name)} was {saved[name]}" for name in named if saved[name] != named[name]]:
        raise UserError(
            f"the run in {run} differs from what is asked: {'; '.join(different)}; leave these out"
        )
    return run.resolve(), config
