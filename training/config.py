"""TrainConfig: everything that decides a run, saved as config.json; its fields are n2b-train's options."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..runtime.errors import UserError
from ..runtime.system.files import write_atomically
from .labels.filters import parse_filter
from .noise import default_filter, noise_domain, parse_noise
from .options import option, option_name, options_of
from .recipes import RECIPES

CONFIG_NAME = "config.json"
DEFAULT_STEPS = 296_000  # the paper's schedule
METHODS = ("n2b", "n2b-v", "supervised", "n2n", "n2v")
ARCHITECTURES = ("unet", "edge", "dncnn")
DOMAINS = ("linear", "log")
LOSSES = ("l1", "rms")
AUTO = "auto"
_PATHS = ("noisy", "clean", "dark", "validation")  # fields of several paths
_IMAGES, _METHOD, _SCHEDULE, MACHINE_PANEL = "Images", "Method", "Schedule", "Machine and run"


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides what a run computes. Paths are absolute; sizes in pixels.

    `filter` and `domain` given as "auto" take the value that suits the noise.

    Raises:
        UserError: a value is out of its bounds, or two do not go together.
    """

    noisy: tuple[str, ...] = option(
        _IMAGES,
        "Noisy images: file, folder, glob or video, camera:0, dnd:FOLDER; repeatable.",
        metavar="PATH",
    )
    clean: tuple[str, ...] = option(
        _IMAGES,
        "Clean photographs of anything else; repeatable. Default with --noise: half of --noisy.",
        default=(),
        metavar="PATH",
    )
    noise: str | None = option(
        _IMAGES,
        "Synthetic noise to add to --noisy: gaussian:0-50, speckle:0.1, saltpepper:0.5, text:0.2, "
        "poisson:2,3, jpeg:80, or several as gaussian:25+jpeg:80.",
        default=None,
        metavar="SPEC",
    )
    dark: tuple[str, ...] = option(
        _IMAGES,
        "Dark frames of the camera, whose fixed pattern is subtracted from --noisy; repeatable.",
        default=(),
        metavar="PATH",
    )
    record_s: float = option(
        _IMAGES, "How long to record a camera.", default=10.0, name="--record", metavar="SECONDS", above=0
    )
    validation: tuple[str, ...] = option(
        _IMAGES,
        "Clean photographs to measure PSNR on, with --noise; repeatable.",
        default=(),
        name="--val",
        metavar="PATH",
    )
    recipe: str = option(
        _METHOD,
        "Defaults for the rest: real for a camera's own noise, paper for Noise2Blur as published.",
        default="default",
        choices=tuple(RECIPES),
        default_text="real without --noise, else default",
    )
    method: str = option(_METHOD, "Training method.", default="n2b", choices=METHODS)
    arch: str = option(
        _METHOD,
        "Denoising network: unet (the paper's), edge (for real-time cameras) or dncnn.",
        default="unet",
        choices=ARCHITECTURES,
    )
    filter: str = option(
        _METHOD,
        "Blur that makes the labels: bilateral, gaussian:3, mean:31, median:31, bm3d; auto: by the noise.",
        default=AUTO,
        metavar="SPEC",
    )
    domain: str = option(
        _METHOD,
        "Values the networks compute on: linear; log for multiplicative noise; auto: by the noise.",
        default=AUTO,
        choices=(AUTO, *DOMAINS),
    )
    nenet_skip: bool = option(
        _METHOD,
        "NENet with a skip connection, or as published.",
        default=True,
        name="--skip-nenet/--plain-nenet",
    )
    bounded: bool = option(
        _METHOD,
        "Clip the gradients and the values that the networks pass to each other.",
        default=True,
        name="--bounded/--unbounded",
    )
    turn_noise: bool = option(
        _METHOD,
        "Flip, rotate and roll the extracted noise before it is added to a clean crop.",
        default=False,
    )
    shuffle_channels: bool = option(
        _METHOD, "Permute the colour channels of the extracted noise.", default=False
    )
    saturate: bool = option(
        _METHOD,
        "Clip clean crops with added noise to the range of an image, as a sensor does.",
        default=False,
    )
    replace: bool = option(
        _METHOD,
        "Let the noise replace pixels, as text does, or add to them.",
        default=False,
        name="--replace/--add",
    )
    initial_stage: float = option(
        _METHOD,
        "Share of the training before the losses change.",
        default=0.05,
        metavar="SHARE",
        minimum=0,
        below=1,
    )
    flat_noise: bool = option(
        _METHOD,
        "Add the noise of flat areas of --noisy to clean crops, next to the extracted noise.",
        default=False,
    )
    extracted_share: float = option(
        _METHOD,
        "With --flat-noise: share of a batch that gets the extracted noise instead.",
        default=0.5,
        metavar="SHARE",
        above=0,
        maximum=1,
    )
    anchor: bool = option(
        _METHOD, "Scale the extracted noise to that of the flattest blocks of its crop.", default=False
    )
    noise_gain: tuple[float, float] | None = option(
        _METHOD,
        "Range of a random factor on the noise that is added to clean crops.",
        default=None,
        metavar="LOW-HIGH",
    )
    vary_clean: bool = option(
        _METHOD, "Also train on blurred, enlarged and reduced copies of --clean.", default=False
    )
    loss: str = option(
        _METHOD,
        "Loss of the denoiser: l1, or rms, the root mean square of each crop.",
        default="l1",
        choices=LOSSES,
    )
    average: float = option(
        _METHOD,
        "Decay of the moving average of the weights, e.g. 0.999; 0: no average.",
        default=0.0,
        metavar="DECAY",
        minimum=0,
        below=1,
    )
    steps: int | None = option(
        _SCHEDULE,
        "Length of the training in optimiser steps.",
        default=None,
        default_text=f"{DEFAULT_STEPS}, as the paper",
        minimum=1,
    )
    minutes: float | None = option(
        _SCHEDULE,
        "Length in minutes, instead of --steps.",
        default=None,
        default_text="3 without --noisy",
        above=0,
    )
    batch: int = option(_SCHEDULE, "Crops per step, over all processes.", default=16, minimum=1)
    patch_px: int = option(_SCHEDULE, "Side of a crop in pixels.", default=128, name="--patch", minimum=8)
    learning_rate: float = option(
        _SCHEDULE, "Peak learning rate of Adam.", default=1e-3, name="--lr", above=0
    )
    schedule: str = option(
        _SCHEDULE, "Learning rate after the warm-up.", default="cosine", choices=("cosine", "constant")
    )
    warmup_steps: int = option(_SCHEDULE, "Steps of learning-rate warm-up.", default=50, minimum=0)
    seed: int = option(
        _SCHEDULE,
        "Seed of the split, the noise, the crops and the initial weights.",
        default=0,
        minimum=0,
        maximum=2**63 - 1,
    )
    initial: str | None = option(
        _SCHEDULE,
        "Start from the weights of a checkpoint.",
        default=None,
        name="--init",
        metavar="CHECKPOINT",
    )
    device: str = option(MACHINE_PANEL, "auto, cpu, cuda, cuda:N or mps.", default=AUTO)
    precision: str = option(
        MACHINE_PANEL,
        "Precision of the training; auto: bf16 if the hardware has it, else fp32.",
        default=AUTO,
        choices=(AUTO, "fp32", "bf16", "fp16"),
    )
    compile: str = option(
        MACHINE_PANEL, "torch.compile; auto: on a GPU.", default=AUTO, choices=(AUTO, "on", "off")
    )
    checkpoint_every: int = option(
        MACHINE_PANEL, "Steps between checkpoints.", default=500, metavar="STEPS", minimum=1
    )

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise UserError("give the length of the training as --steps or as --minutes, one of them")
        if self.noise is not None:
            parse_noise(self.noise)
        for field, declared in options_of(TrainConfig).items():
            declared.check(getattr(self, field), option_name(TrainConfig, field))
        if self.filter == AUTO:
            object.__setattr__(self, "filter", default_filter(self.noise))
        if self.domain == AUTO:
            object.__setattr__(self, "domain", noise_domain(self.noise))
        parse_filter(self.filter, self.domain)
        self._check_combinations()

    def _check_combinations(self) -> None:
        if self.noise_gain and not 0 <= self.noise_gain[0] <= self.noise_gain[1] < math.inf:
            raise UserError("--noise-gain is a range LOW-HIGH with 0 ≤ LOW ≤ HIGH, such as 0.5-2")
        if self.flat_noise and self.domain == "log":
            raise UserError("--flat-noise works on linear values; it does not go with --domain log")
        if self.replace and self.is_extended:
            raise UserError(
                "--replace does not go with --flat-noise, --anchor, --noise-gain and --loss rms: "
                "give --add with these, or omit them"
            )
        if self.noise is not None and self.dark:
            raise UserError("--dark removes a camera's fixed pattern; leave out --noise with it")
        if self.noise is None:
            if self.validation:
                raise UserError("--val measures synthetic noise; give --noise with it")
            if self.method in ("supervised", "n2n"):
                raise UserError(f"--method {self.method} needs pairs; give clean images and --noise")

    @property
    def is_extended(self) -> bool:
        """Return True if the run uses what `FlatAreaNoise2Blur` adds to Noise2Blur."""
        return self.method == "n2b" and (
            self.flat_noise or self.anchor or self.noise_gain is not None or self.loss != "l1"
        )

    @property
    def has_labels(self) -> bool:
        """Return True if the method learns from blurred labels."""
        return self.method in ("n2b", "n2b-v")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON and torch's weights-only loader can hold."""
        values = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """Return the inverse of `to_dict`.

        Raises:
            UserError: it has unknown fields, as of a newer version.
        """
        if unknown := sorted(set(values) - set(options_of(cls))):
            raise UserError(f"the run's configuration has unknown fields ({', '.join(unknown)}); upgrade n2b")
        paths: dict[str, Any] = {name: tuple(values[name]) for name in _PATHS if name in values}
        if values.get("noise_gain"):
            paths["noise_gain"] = tuple(values["noise_gain"])
        return cls(**(values | paths))

    def save(self, run: Path) -> None:
        """Write `run`/config.json."""
        write_atomically(run / CONFIG_NAME, (json.dumps(self.to_dict(), indent=2) + "\n").encode())


def load_config(run: Path) -> TrainConfig:
    """Read `run`/config.json.

    Raises:
        UserError: it is missing or damaged.
    """
    path = run / CONFIG_NAME
    try:
        return TrainConfig.from_dict(json.loads(path.read_text()))
    except OSError as error:
        raise UserError(f"{run} contains no run to resume ({CONFIG_NAME}: {error.strerror})") from error
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} is damaged ({error}); start a new run") from error
