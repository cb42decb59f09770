"""n2b-train: train a denoiser on noisy images."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import typer

from ..runtime.system.console import run_command
from ..runtime.system.file_names import check_folder_name
from ..runtime.system.options import from_options, given_values, option, path_options, with_options
from ..runtime.system.packages import check_installed
from .config import MACHINE_PANEL, TrainConfig
from .recipes import RECIPE_FIELDS
from .run import absolute_inputs, check_inputs, is_first_process, link_latest_run, new_run, resumed_run


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


@dataclass(frozen=True)
class _Run:
    """The run that is trained."""

    out: Path | None = option(
        MACHINE_PANEL, None, "Folder of the run.", metavar="DIR", default_text="runs/<date-time>"
    )
    resume: bool = option(MACHINE_PANEL, False, "Continue the run in --out, or the latest.", name="--resume")
    debug: bool = option(None, False, "Show the traceback of an error.", name="--debug")


@with_options(TrainConfig, _Run, default_texts=dict.fromkeys(RECIPE_FIELDS, "by the recipe"))
def train(ctx: typer.Context, **options: Any) -> None:
    """Train a denoiser with Noise2Blur, from noisy images and unrelated clean photographs.

    Without --noisy it trains on the sample photographs of scikit-image and scikit-learn, with synthetic
    Gaussian noise, for three minutes.
    """
    chosen, given = from_options(_Run, options), given_values(TrainConfig, ctx, options)
    given |= {name: absolute_inputs(value) for name, value in given.items() if isinstance(value, list)}
    check_folder_name(chosen.out, "--out")
    check_installed("torch", extra="train")
    opening = nullcontext(resumed_run(chosen.out, given)) if chosen.resume else new_run(chosen.out, given)
    with opening as (run, config):
        check_inputs(config)
        from .loop import train as train_loop

        if is_first_process():
            print(f"run: {run}")
        on_begin = (lambda: None) if chosen.resume else partial(link_latest_run, run)
        checkpoint = train_loop(config, run, resume=chosen.resume, on_begin=on_begin)
    if is_first_process():
        print(f"checkpoint: {checkpoint}")
        if (report := run / "report" / "index.html").is_file():
            print(f"report: {report}")
        print("next: n2b-export --fp16")
