"""Training by the project's own command, n2b-train, in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ..subprocesses import run_logged
from .experiments import Condition, Trained
from .images import TrainingImages, training_images
from .settings import Settings

_TRAIN = "from n2b.training.cli import main; main()"


def train(condition: Condition, system: Trained, settings: Settings, run: Path) -> None:
    """Train to the end of the schedule, or go on with what is there of the run.

    The output of n2b-train goes to <run>.log, next to the run.

    Raises:
        EnvironmentFault: n2b-train failed; the message is its last line.
    """
    run.parent.mkdir(parents=True, exist_ok=True)
    if (run / "config.json").is_file():
        options = ["--resume", "--out", str(run)]
    else:
        images = training_images(condition, system, settings)
        options = training_options(condition, system, settings, images, run)
    # in the folder of the runs: n2b-train keeps runs/latest where it is called
    run_logged(n2b_train(options), log=run.with_name(f"{run.name}.log"), cwd=run.parent.parent)


def n2b_train(options: Sequence[str]) -> list[str]:
    """Return the command of n2b-train with these options, by the Python in use."""
    return [sys.executable, "-c", _TRAIN, *options]


def training_options(
    condition: Condition, system: Trained, settings: Settings, images: TrainingImages, run: Path
) -> list[str]:
    """The arguments of n2b-train."""
    options = ["--noisy", *map(str, images.noisy), "--clean", *map(str, images.clean)]
    if condition.noise:
        options += ["--noise", condition.noise, "--val", *map(str, images.validation)]
    if system.filter != "auto":
        options += ["--filter", system.filter]
    return [
        *options,
        *("--method", system.method),
        *("--recipe", system.recipe),
        *("--arch", settings.arch),
        *("--steps", str(settings.steps)),
        *("--batch", str(settings.batch)),
        *("--patch", str(settings.patch_px)),
        *("--lr", str(settings.learning_rate)),
        *("--seed", str(settings.seed)),
        *("--device", settings.device),
        *("--out", str(run)),
        *system.options,  # last: of an option that is there twice this is taken
    ]
