"""Training by the project's own command, n2b-train, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from n2b.runtime.errors import EnvironmentFault

from .experiments import Condition, Trained
from .images import TrainingImages, training_images
from .settings import Settings

_TRAIN = "from n2b.training.cli import main; main()"
_INTERRUPTED_WAIT_S = 60  # n2b-train finishes its step and writes a checkpoint


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
    log = run.with_name(f"{run.name}.log")
    with log.open("ab") as output:
        # in the folder of the runs: n2b-train keeps runs/latest where it is called
        process = subprocess.Popen(
            [sys.executable, "-c", _TRAIN, *options],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=run.parent.parent,
        )
        try:
            status = process.wait()
        except KeyboardInterrupt:  # the child has had it too
            process.wait(_INTERRUPTED_WAIT_S)
            raise
    if status:
        lines = log.read_text(errors="replace").strip().splitlines() or [f"exit status {status}"]
        raise EnvironmentFault(f"{lines[-1]} (see {log})")


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
