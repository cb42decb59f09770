"""n2b-train: noisy images in, a denoiser's checkpoint out."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..runtime.console import run_command
from ..runtime.dated import link_latest, new_dated_folder
from ..runtime.errors import MissingPackageError, UserError
from ..runtime.samples import sample_photographs

if TYPE_CHECKING:
    from .config import TrainConfig

RUNS = Path("runs")
SAMPLE_NOISE = "gaussian:25"
SAMPLE_MINUTES = 3.0
SAMPLE_BATCH, SAMPLE_PATCH_PX = 8, 64  # many small steps: the most for a few minutes on a CPU
PATH_OPTIONS = ("--noisy", "--clean", "--val")
DEFAULT_STEPS = 296_000  # the paper's schedule


def main() -> None:
    """Entry point of the console script."""
    sys.argv[1:] = one_path_an_option(sys.argv[1:])
    run_command(train, "n2b-train")


def one_path_an_option(arguments: list[str]) -> list[str]:
    """`--noisy a b` as `--noisy a --noisy b`: what a shell makes of `--noisy *.png` is meant that way."""
    repeated: list[str] = []
    option = None  # of paths, when the last argument was one of its
    for argument in arguments:
        if argument.startswith("-"):
            option = argument if argument in PATH_OPTIONS else None
        elif option and repeated[-1] != option:
            repeated.append(option)
        repeated.append(argument)
    return repeated


def train(
    ctx: typer.Context,
    noisy: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="Noisy images: file, folder or glob; repeatable.")
    ] = None,
    clean: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH",
            help="Clean photographs of anything else; repeatable. Default with --noise: half of --noisy.",
        ),
    ] = None,
    noise: Annotated[
        str | None,
        typer.Option(metavar="SPEC", help="Synthetic noise to add to --noisy, e.g. gaussian:0-50."),
    ] = None,
    filter: Annotated[
        str,
        typer.Option(
            metavar="SPEC", help="Blur that makes the labels: bilateral, gaussian:3, mean:31, median:31."
        ),
    ] = "bilateral",
    steps: Annotated[
        int | None, typer.Option(help=f"Length in steps; default: {DEFAULT_STEPS}, as the paper.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Length in minutes, in place of --steps.")] = None,
    batch: Annotated[int, typer.Option(help="Crops a step.")] = 16,
    patch: Annotated[int, typer.Option(help="Side of a crop in pixels.")] = 128,
    lr: Annotated[float, typer.Option(help="Adam's learning rate at its highest.")] = 1e-3,
    plain_nenet: Annotated[
        bool, typer.Option("--plain-nenet", help="NENet without its skip, as the paper has it.")
    ] = False,
    seed: Annotated[
        int, typer.Option(help="Decides the split, the noise, the crops and the first weights.")
    ] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    checkpoint_every: Annotated[int, typer.Option(metavar="STEPS", help="Steps between checkpoints.")] = 500,
    val: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="Clean photographs to measure PSNR on; repeatable."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the run; default: runs/<date-time>.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out, or the latest.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Train a denoiser with Noise2Blur, from noisy images and unrelated clean photographs.

    With no images named it trains on the sample photographs of scikit-image and scikit-learn, with
    synthetic Gaussian noise, for a few minutes.
    """
    from .config import TrainConfig

    given = {
        "noisy": _absolute(noisy),
        "clean": _absolute(clean),
        "noise": noise,
        "filter": filter,
        "steps": steps,
        "minutes": minutes,
        "batch": batch,
        "patch_px": patch,
        "learning_rate": lr,
        "nenet_skip": not plain_nenet,
        "seed": seed,
        "device": device,
        "precision": precision,
        "checkpoint_every": checkpoint_every,
        "validation": _absolute(val),
    }
    named = {name for name in given if _is_named(ctx, name)}
    if resume:
        run, config = _resumed(out, {name: given[name] for name in named})
    else:
        run = out or new_dated_folder(RUNS)
        if (run / "config.json").exists():
            raise UserError(f"{run} holds a run already; go on with it by --resume, or name another --out")
        config = TrainConfig(**(given | _defaults(given, named)))
        config.save(run)
        link_latest(run, RUNS)
    _train(config, run, resume)


def _train(config: TrainConfig, run: Path, resume: bool) -> None:
    if find_spec("torch") is None:
        raise MissingPackageError("torch", extra="train")
    from .loop import train as train_loop

    print(f"run: {run}")
    checkpoint = train_loop(config, run, resume=resume)
    print(f"checkpoint: {checkpoint}\nnext: n2b-export --fp16")


_PARAMETER_OF = {"patch_px": "patch", "learning_rate": "lr", "nenet_skip": "plain_nenet", "validation": "val"}


def _is_named(ctx: typer.Context, field: str) -> bool:
    source = ctx.get_parameter_source(_PARAMETER_OF.get(field, field))
    return source is not None and source.name == "COMMANDLINE"


def _defaults(given: dict[str, Any], named: set[str]) -> dict[str, Any]:
    """What is filled in for what was not named."""
    if not given["noisy"]:
        return _sample_defaults(given, named)
    if given["steps"] is None and given["minutes"] is None:
        return {"steps": DEFAULT_STEPS}
    return {}


def _sample_defaults(given: dict[str, Any], named: set[str]) -> dict[str, Any]:
    samples = sample_photographs()
    if not samples:
        raise MissingPackageError("scikit-image", extra="train")
    defaults = {
        "noisy": tuple(map(str, samples)),
        "noise": SAMPLE_NOISE,
        "batch": SAMPLE_BATCH,
        "patch_px": SAMPLE_PATCH_PX,
    }
    if given["steps"] is None and given["minutes"] is None:
        defaults["minutes"] = SAMPLE_MINUTES
    defaults = {name: value for name, value in defaults.items() if name not in named}
    print(
        f"no images named (--noisy): training on {len(samples)} sample photographs "
        f"with synthetic noise {given['noise'] or SAMPLE_NOISE}"
    )
    return defaults


def _resumed(out: Path | None, named: dict[str, Any]) -> tuple[Path, TrainConfig]:
    from .config import load_config

    run = out or RUNS / "latest"
    config = load_config(run)
    saved = {name: getattr(config, name) for name in named}
    if different := [f"{name} was {saved[name]}" for name in named if saved[name] != named[name]]:
        raise UserError(
            f"the run in {run} differs from what is asked: {'; '.join(different)}; leave these out"
        )
    return run.resolve(), config


def _absolute(paths: list[str] | None) -> tuple[str, ...]:
    return tuple(os.path.abspath(path) for path in paths or ())  # noqa: PTH100 — a glob is no path to resolve
