"""n2b-train: noisy images in, a denoiser's checkpoint out."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from ..runtime.errors import MissingPackageError
from ..runtime.system.console import run_command
from .config import PARAMETER_OF
from .run import (
    DEFAULT_STEPS,
    absolute_inputs,
    is_first_process,
    latest_run,
    new_run,
    no_trace_of_failure,
    parse_range,
    resumed_run,
)

PATH_OPTIONS = ("--noisy", "--clean", "--val")
_IMAGES, _METHOD, _SCHEDULE, _MACHINE = "Images", "Method", "Schedule", "Machine and run"


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
        list[str] | None,
        typer.Option(
            metavar="PATH",
            rich_help_panel=_IMAGES,
            help="Noisy images: file, folder, glob or video, camera:0, dnd:FOLDER; repeatable.",
        ),
    ] = None,
    clean: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH",
            rich_help_panel=_IMAGES,
            help="Clean photographs of anything else; repeatable. Default with --noise: half of --noisy.",
        ),
    ] = None,
    noise: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            rich_help_panel=_IMAGES,
            help="Synthetic noise to add to --noisy: gaussian:0-50, speckle:0.1, saltpepper:0.5, text:0.2, "
            "poisson:2,3, jpeg:80, or several as gaussian:25+jpeg:80.",
        ),
    ] = None,
    record: Annotated[
        float, typer.Option(metavar="SECONDS", rich_help_panel=_IMAGES, help="How long to record a camera.")
    ] = 10.0,
    val: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH",
            rich_help_panel=_IMAGES,
            help="Clean photographs to measure PSNR on, with --noise; repeatable.",
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=_METHOD,
            help="Defaults for the rest: default, real (a camera's own noise; taken with no --noise), "
            "paper (Noise2Blur as published).",
        ),
    ] = None,
    method: Annotated[
        str, typer.Option(rich_help_panel=_METHOD, help="n2b, n2b-v, supervised, n2n or n2v.")
    ] = "n2b",
    arch: Annotated[
        str,
        typer.Option(
            rich_help_panel=_METHOD, help="unet (the paper's), edge (for real-time cameras) or dncnn."
        ),
    ] = "unet",
    filter: Annotated[
        str,
        typer.Option(
            metavar="SPEC",
            rich_help_panel=_METHOD,
            help="Blur that makes the labels: bilateral, gaussian:3, mean:31, median:31, bm3d; "
            "auto: by the noise.",
        ),
    ] = "auto",
    domain: Annotated[
        str,
        typer.Option(
            rich_help_panel=_METHOD, help="linear; log for multiplicative noise; auto: by the noise."
        ),
    ] = "auto",
    plain_nenet: Annotated[
        bool,
        typer.Option("--plain-nenet/--skip-nenet", rich_help_panel=_METHOD, help="NENet without its skip."),
    ] = False,
    unbounded: Annotated[
        bool,
        typer.Option(
            "--unbounded/--bounded",
            rich_help_panel=_METHOD,
            help="No bounds on what the networks feed each other and on gradients.",
        ),
    ] = False,
    turn_noise: Annotated[
        bool,
        typer.Option(
            "--turn-noise/--no-turn-noise",
            rich_help_panel=_METHOD,
            help="Flip, turn and roll the extracted noise before it is added to a clean crop.",
        ),
    ] = False,
    shuffle_channels: Annotated[
        bool,
        typer.Option(
            "--shuffle-channels/--no-shuffle-channels",
            rich_help_panel=_METHOD,
            help="Permute the colour channels of the extracted noise.",
        ),
    ] = False,
    saturate: Annotated[
        bool,
        typer.Option(
            "--saturate/--no-saturate",
            rich_help_panel=_METHOD,
            help="Clip a clean crop with noise added to the range of an image, as a sensor does.",
        ),
    ] = False,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace/--add",
            rich_help_panel=_METHOD,
            help="The noise takes the place of pixels, as text does, and is not added to them.",
        ),
    ] = False,
    initial_stage: Annotated[
        float,
        typer.Option(
            metavar="SHARE", rich_help_panel=_METHOD, help="Part of the training before the losses change."
        ),
    ] = 0.05,
    flat_noise: Annotated[
        bool,
        typer.Option(
            "--flat-noise/--no-flat-noise",
            rich_help_panel=_METHOD,
            help="Add the noise of flat areas of --noisy to clean crops, beside what is extracted.",
        ),
    ] = False,
    extracted_share: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            rich_help_panel=_METHOD,
            help="With --flat-noise: part of a batch to which the extracted noise is added instead.",
        ),
    ] = 0.5,
    anchor: Annotated[
        bool,
        typer.Option(
            "--anchor/--no-anchor",
            rich_help_panel=_METHOD,
            help="Scale the extracted noise to that of the flattest blocks of its crop.",
        ),
    ] = False,
    noise_gain: Annotated[
        str | None,
        typer.Option(
            metavar="LOW-HIGH",
            rich_help_panel=_METHOD,
            help="Range of a random factor on the noise that is added to clean crops.",
        ),
    ] = None,
    vary_clean: Annotated[
        bool,
        typer.Option(
            "--vary-clean/--no-vary-clean",
            rich_help_panel=_METHOD,
            help="Train on blurred, enlarged and reduced copies of --clean too.",
        ),
    ] = False,
    loss: Annotated[
        str, typer.Option(rich_help_panel=_METHOD, help="Of the denoiser: l1, or rms of each crop.")
    ] = "l1",
    average: Annotated[
        float,
        typer.Option(
            metavar="DECAY",
            rich_help_panel=_METHOD,
            help="Keep the moving average of the weights, e.g. 0.999; 0: the last weights.",
        ),
    ] = 0.0,
    steps: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=_SCHEDULE, help=f"Length in steps; default: {DEFAULT_STEPS}, as the paper."
        ),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(rich_help_panel=_SCHEDULE, help="Length in minutes, in place of --steps.")
    ] = None,
    batch: Annotated[
        int, typer.Option(rich_help_panel=_SCHEDULE, help="Crops a step, over all processes.")
    ] = 16,
    patch: Annotated[int, typer.Option(rich_help_panel=_SCHEDULE, help="Side of a crop in pixels.")] = 128,
    lr: Annotated[
        float, typer.Option(rich_help_panel=_SCHEDULE, help="Adam's learning rate at its highest.")
    ] = 1e-3,
    schedule: Annotated[
        str, typer.Option(rich_help_panel=_SCHEDULE, help="Of the learning rate: cosine or constant.")
    ] = "cosine",
    warmup_steps: Annotated[
        int, typer.Option(rich_help_panel=_SCHEDULE, help="Steps in which the learning rate rises.")
    ] = 50,
    seed: Annotated[
        int,
        typer.Option(
            rich_help_panel=_SCHEDULE, help="Decides the split, the noise, the crops and the first weights."
        ),
    ] = 0,
    init: Annotated[
        Path | None,
        typer.Option(metavar="CHECKPOINT", rich_help_panel=_SCHEDULE, help="Start from its weights."),
    ] = None,
    device: Annotated[
        str, typer.Option(rich_help_panel=_MACHINE, help="auto, cpu, cuda, cuda:N or mps.")
    ] = "auto",
    precision: Annotated[
        str, typer.Option(rich_help_panel=_MACHINE, help="auto, fp32, bf16 or fp16.")
    ] = "auto",
    compile: Annotated[
        str,
        typer.Option(rich_help_panel=_MACHINE, help="torch.compile: on, off; auto: on a GPU."),
    ] = "auto",
    checkpoint_every: Annotated[
        int, typer.Option(metavar="STEPS", rich_help_panel=_MACHINE, help="Steps between checkpoints.")
    ] = 500,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", rich_help_panel=_MACHINE, help="Folder of the run; default: runs/<date-time>."
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", rich_help_panel=_MACHINE, help="Go on with the run in --out, or the latest."
        ),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Train a denoiser with Noise2Blur, from noisy images and unrelated clean photographs.

    With no images named it trains on the sample photographs of scikit-image and scikit-learn, with
    synthetic Gaussian noise, for a few minutes.
    """
    given: dict[str, Any] = {
        "noisy": absolute_inputs(noisy),
        "clean": absolute_inputs(clean),
        "noise": noise,
        "method": method,
        "arch": arch,
        "filter": filter,
        "domain": domain,
        "steps": steps,
        "minutes": minutes,
        "batch": batch,
        "patch_px": patch,
        "learning_rate": lr,
        "schedule": schedule,
        "warmup_steps": warmup_steps,
        "initial_stage": initial_stage,
        "saturate": saturate,
        "replace": replace,
        "flat_noise": flat_noise,
        "extracted_share": extracted_share,
        "anchor": anchor,
        "noise_gain": parse_range(noise_gain, "--noise-gain"),
        "vary_clean": vary_clean,
        "loss": loss,
        "average": average,
        "nenet_skip": not plain_nenet,
        "bounded": not unbounded,
        "turn_noise": turn_noise,
        "shuffle_channels": shuffle_channels,
        "seed": seed,
        "device": device,
        "precision": precision,
        "compile": compile,
        "checkpoint_every": checkpoint_every,
        "record_s": record,
        "validation": absolute_inputs(val),
        "initial": str(init.absolute()) if init else None,
    }
    named = {name: value for name, value in given.items() if _is_named(ctx, name)}
    if recipe is not None:
        named["recipe"] = recipe
    before = latest_run()
    run, config = resumed_run(out, named) if resume else new_run(out, named)
    if find_spec("torch") is None:
        raise MissingPackageError("torch", extra="train")
    from .loop import train as train_loop

    if is_first_process():
        print(f"run: {run}")
    with no_trace_of_failure(run, before):
        checkpoint = train_loop(config, run, resume=resume)
    if is_first_process():
        print(f"checkpoint: {checkpoint}")
        if (report := run / "report" / "index.html").is_file():
            print(f"report: {report}")
        print("next: n2b-export --fp16")


def _is_named(ctx: typer.Context, field: str) -> bool:
    source = ctx.get_parameter_source(PARAMETER_OF.get(field, field))
    return source is not None and source.name == "COMMANDLINE"
