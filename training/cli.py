"""n2b-train: train a denoiser on noisy images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..runtime.errors import MissingPackageError
from ..runtime.system.console import run_command
from ..runtime.system.packages import is_installed
from .config import MACHINE_PANEL, TrainConfig
from .options import given_values, parse_range, path_options, with_options
from .recipes import RECIPE_FIELDS
from .run import absolute_inputs, is_first_process, latest_run, new_run, remove_failed_run, resumed_run


def main() -> None:
    """Run the console script."""
    sys.argv[1:] = repeat_path_options(sys.argv[1:])
    run_command(train, "n2b-train")


def repeat_path_options(arguments: list[str]) -> list[str]:
    """Rewrite `--noisy a b`, as the shell expands `--noisy *.png`, to `--noisy a --noisy b`."""
    repeatable = path_options(TrainConfig)
    repeated: list[str] = []
    option = None  # of paths, while the arguments after it are its values
    for argument in arguments:
        if argument.startswith("-"):
            option = argument if argument in repeatable else None
        elif option and repeated[-1] != option:
            repeated.append(option)
        repeated.append(argument)
    return repeated


@with_options(TrainConfig, default_texts=dict.fromkeys(RECIPE_FIELDS, "by the recipe"))
def train(
    ctx: typer.Context,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            rich_help_panel=MACHINE_PANEL,
            help="Folder of the run.",
            show_default="runs/<date-time>",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", rich_help_panel=MACHINE_PANEL, help="Continue the run in --out, or the latest."
        ),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    **options: Any,
) -> None:
    """Train a denoiser with Noise2Blur, from noisy images and unrelated clean photographs.

    Without --noisy it trains on the sample photographs of scikit-image and scikit-learn, with synthetic
    Gaussian noise, for three minutes.
    """
    given = {name: _parsed(name, value) for name, value in given_values(ctx, options).items()}
    before = latest_run()
    run, config = resumed_run(out, given) if resume else new_run(out, given)
    if not is_installed("torch"):
        raise MissingPackageError("torch", extra="train")
    from .loop import train as train_loop

    if is_first_process():
        print(f"run: {run}")
    with remove_failed_run(run, before):
        checkpoint = train_loop(config, run, resume=resume)
    if is_first_process():
        print(f"checkpoint: {checkpoint}")
        if (report := run / "report" / "index.html").is_file():
            print(f"report: {report}")
        print("next: n2b-export --fp16")


def _parsed(field: str, value: Any) -> Any:
    """Return an option's value as TrainConfig has it."""
    if isinstance(value, list):
        return absolute_inputs(value)
    if field == "noise_gain":
        return parse_range(value, "--noise-gain")
    return str(Path(value).absolute()) if field == "initial" else value
