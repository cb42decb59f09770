"""Start a run: complete its configuration and make its folder, or find the run to continue."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..runtime.errors import MissingPackageError, UserError
from ..runtime.model_files import CAMERA_ARCH, CAMERA_BUNDLED, bundled_models
from ..runtime.passwords import without_passwords
from ..runtime.samples import sample_photographs
from ..runtime.sources import find_images, find_input
from ..runtime.system.files import rename_new
from ..runtime.system.options import option_name
from ..runtime.system.run_folders import LATEST, Claim, link_latest
from ..runtime.system.temporary import Temporary
from .config import AUTO, CONFIG_NAME, DEFAULT_STEPS, NO_WEIGHTS, TrainConfig, load_config
from .recipes import DEFAULT, recipe_for, recipe_values

RUNS = Path("runs")
FINE_TUNING_RATE, FINE_TUNING_MINUTES = 3e-4, 10.0  # of a bundled model, on real noise
SAMPLE_DEFAULTS: dict[str, Any] = {
    "noise": "gaussian:25",
    "minutes": 3.0,
    "batch": 8,  # many small steps: best for a few minutes on a CPU
    "patch_px": 64,
}


def is_first_process() -> bool:
    """Return True in the process that writes and prints: the first, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def absolute_inputs(inputs: list[str] | None) -> tuple[str, ...]:
    """Return files, folders, globs and dnd:FOLDER by their absolute paths, cameras as they are named."""
    return tuple(find_input(name).absolute_name for name in inputs or ())


def check_inputs(config: TrainConfig) -> None:
    """Raise UserError, in every process and before any work, if the inputs do not exist or hold no images."""
    for names in (config.noisy, config.clean, config.validation):
        inputs = [find_input(name) for name in names]
        if files := [one for one in inputs if one.kind != "dnd" and not one.is_moving]:
            find_images(files)


@contextmanager
def new_run(out: Path | None, given: dict[str, Any]) -> Iterator[tuple[Path, TrainConfig]]:
    """Make the folder of a new run (None: runs/<date-time>), and save its configuration there.

    If the block fails before the first checkpoint, there is nothing to resume: exactly what is new in the
    folder is removed, and the folder if it was made. `runs/latest` is then as before.

    Raises:
        UserError: the folder contains a run or cannot be written, or the configuration is invalid.
    """
    config = complete_config(given)
    if out is None and os.environ.get("WORLD_SIZE", "1") != "1":
        raise UserError("several processes train one run; name its folder with --out")
    if out is not None and not is_first_process():
        yield out, config
        return
    before, had_runs = _latest_run(), RUNS.exists()
    claim = Claim(out, RUNS)
    run = claim.folder
    try:
        _claim_config(run, config)
        claim.unlock()
    except UserError:
        claim.remove_folders()
        raise
    try:
        yield run, config
    except BaseException:
        from .checkpoint import CHECKPOINT_NAME  # with torch

        if not (run / CHECKPOINT_NAME).exists():
            _unlink_latest(run, before)
            claim.take_back()
            if not had_runs:
                with suppress(OSError):  # absent, or not empty
                    RUNS.rmdir()
        raise


def _claim_config(run: Path, config: TrainConfig) -> None:
    """Create the file of the configuration, whole at once, which no other process then can."""
    final = run / CONFIG_NAME
    try:
        with Temporary(final) as own:
            own.write_text(config.to_json())
            rename_new(own, final)
    except FileExistsError as error:
        raise UserError(
            f"{run} already contains a run; continue it with --resume, or choose another --out"
        ) from error
    except OSError as error:
        raise UserError(f"cannot write {run}: {error.strerror}; choose another --out") from error


def link_latest_run(run: Path) -> None:
    """Point runs/latest to a run that begins."""
    if is_first_process():
        link_latest(run, RUNS)


def _latest_run() -> Path | None:
    """Return the folder that runs/latest points to, or None."""
    link = RUNS / LATEST
    return link.resolve() if link.exists() else None


def _unlink_latest(run: Path, before: Path | None) -> None:
    """Point runs/latest to the run before, if it points to this one."""
    if _latest_run() == run.resolve():
        if before is not None:
            link_latest(before, RUNS)
        else:
            (RUNS / LATEST).unlink(missing_ok=True)


def complete_config(given: dict[str, Any]) -> TrainConfig:
    """Complete the given fields by the sample images' or the recipe's defaults, then TrainConfig's own."""
    samples = {} if given.get("noisy") else _samples(given)
    known = samples | given
    noise, method = known.get("noise"), given.get("method", TrainConfig.method)
    recipe = recipe_for(given.get("recipe"), noise=noise, method=method)
    values: dict[str, Any] = {**recipe_values(recipe, noise=noise, method=method), **known, "recipe": recipe}
    if given.get("flat_noise") and "noise_model" not in given:
        values["noise_model"] = False  # the recipe's; one excludes the other
    values["initial"] = _initial_weights(values)
    if values["initial"] in bundled_models() and noise is None:
        values = {"learning_rate": FINE_TUNING_RATE} | values
        if values.get("steps") is None:
            values = {"minutes": FINE_TUNING_MINUTES} | values
    if values.get("steps") is None and values.get("minutes") is None:
        values["steps"] = DEFAULT_STEPS
    if recipe != DEFAULT and "recipe" not in given and is_first_process():
        print(f"no --noise: real noise, recipe '{recipe}'")
    return TrainConfig(**values)


def _initial_weights(values: dict[str, Any]) -> str | None:
    """Return what the training starts from: "auto" is the bundled model for cameras, if it can serve."""
    initial = values.get("initial")
    if initial == NO_WEIGHTS:
        return None
    if initial != AUTO:
        return initial
    is_fit = values.get("arch") == CAMERA_ARCH and values.get("noise") is None
    return CAMERA_BUNDLED if is_fit and CAMERA_BUNDLED in bundled_models() else None


def _samples(given: dict[str, Any]) -> dict[str, Any]:
    """Return the sample photographs, and defaults for a few minutes of training on them."""
    photographs = sample_photographs()
    if not photographs:
        raise MissingPackageError("scikit-image", extra="train")
    defaults: dict[str, Any] = {"noisy": tuple(map(str, photographs)), **SAMPLE_DEFAULTS}
    if given.get("steps") is not None:
        del defaults["minutes"]
    print(
        f"no --noisy: training on {len(photographs)} sample photographs "
        f"with synthetic noise {given.get('noise', defaults['noise'])}"
    )
    return defaults


def resumed_run(out: Path | None, given: dict[str, Any]) -> tuple[Path, TrainConfig]:
    """Return the folder and configuration of the run to continue.

    Raises:
        UserError: there is none, or a given field differs from its configuration.
    """
    run = out or RUNS / LATEST
    config = load_config(run)
    saved = {name: without_passwords(getattr(config, name)) for name in given}
    if different := [
        f"{option_name(TrainConfig, name)} was {saved[name]}"
        for name, value in given.items()
        if saved[name] != without_passwords(value)
    ]:
        raise UserError(
            f"the run in {run} differs from the given options: {'; '.join(different)}; omit these"
        )
    return run.resolve(), dataclasses.replace(config, noisy=given.get("noisy", config.noisy))
