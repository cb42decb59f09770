"""TrainConfig: everything that decides a run, saved beside it as config.json."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..runtime.errors import UserError
from ..runtime.system.files import write_atomically
from .labels.filters import parse_filter
from .noise import default_filter, noise_domain, parse_noise

CONFIG_NAME = "config.json"
METHODS = ("n2b", "n2b-v", "supervised", "n2n", "n2v")
SCHEDULES = ("cosine", "constant")
DOMAINS = ("linear", "log")
LOSSES = ("l1", "rms")
AUTO = "auto"

# what a value must at least be, by the name of its field
_LEAST = {
    "steps": 1, "minutes": 1e-9, "batch": 1, "patch_px": 8, "checkpoint_every": 1,
    "learning_rate": 1e-12, "warmup_steps": 0, "average": 0, "record_s": 1e-9,
}  # fmt: skip
_CHOICES = {"method": METHODS, "schedule": SCHEDULES, "domain": DOMAINS, "loss": LOSSES}


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides what a run computes. Paths are absolute; sizes in pixels.

    `filter` and `domain` may be given as "auto"; they then take the value that suits the noise.
    """

    noisy: tuple[str, ...]  # noisy images, or clean ones that `noise` is added to
    clean: tuple[str, ...] = ()  # unrelated clean photographs; empty: `noisy` is split in two halves
    noise: str | None = None  # synthetic noise added to `noisy`, e.g. "gaussian:0-50"
    method: str = "n2b"  # or "n2b-v", "supervised", "n2n", "n2v"
    arch: str = "unet"  # of the denoiser: "unet", "edge", "dncnn"
    recipe: str = "default"  # the set of defaults that the fields below were filled from
    filter: str = AUTO  # blur that makes the labels, e.g. "mean:31"
    domain: str = AUTO  # "linear", or "log" for multiplicative noise
    steps: int | None = None  # length of the training in optimiser steps …
    minutes: float | None = None  # … or in minutes of wall-clock time
    batch: int = 16  # over all processes
    patch_px: int = 128
    learning_rate: float = 1e-3
    schedule: str = "cosine"  # of the learning rate, after its warm-up; or "constant"
    warmup_steps: int = 50
    average: float = 0.0  # decay of the exponential moving average of the weights; 0: none
    nenet_skip: bool = True
    initial_stage: float = 0.05  # share of the training before the losses change; the paper's
    bounded: bool = True  # bounds on what the networks feed each other, and on gradients
    turn_noise: bool = False  # flip, turn and roll ñ before it is added to c
    shuffle_channels: bool = False  # permute the colour channels of ñ before it is added to c
    saturate: bool = False  # clip what is added to c to the range of an image, as a sensor does
    replace: bool = False  # where the noise is, c gives way to x, instead of adding ñ to c
    flat_noise: bool = False  # add the noise of flat areas to clean crops, beside ñ
    extracted_share: float = 0.5  # of a batch, to which ñ is added and not the noise of flat areas
    anchor: bool = False  # scale ñ to the noise in the flattest blocks of its crop
    noise_gain: tuple[float, float] | None = None  # range of a random factor on what is added to c
    vary_clean: bool = False  # blurred, enlarged and reduced copies of the clean photographs too
    loss: str = "l1"  # of DnNet: "l1", or "rms", the root mean square of each crop
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    compile: str = AUTO  # "on", "off"; auto: on a GPU
    checkpoint_every: int = 500  # steps
    record_s: float = 10.0  # how long a camera is recorded
    validation: tuple[str, ...] = ()  # clean photographs to measure PSNR on
    initial: str | None = None  # checkpoint whose weights to start from

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise UserError("give the length of the training as --steps or as --minutes, one of them")
        if self.noise is not None:
            parse_noise(self.noise)
        if self.filter == AUTO:
            object.__setattr__(self, "filter", default_filter(self.noise))
        if self.domain == AUTO:
            object.__setattr__(self, "domain", noise_domain(self.noise))
        parse_filter(self.filter, self.domain)
        self._check_values()
        if self.noise is None:
            if self.validation:
                raise UserError("--val measures synthetic noise; give --noise with it")
            if self.method in ("supervised", "n2n"):
                raise UserError(f"--method {self.method} needs pairs; give clean images and --noise")

    def _check_values(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise UserError(
                    f"{option_of(name)} is '{getattr(self, name)}'; it must be one of {', '.join(choices)}"
                )
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise UserError(f"{option_of(name)} is {value}; it must be at least {least}")
        if not 0 <= self.initial_stage < 1:
            raise UserError(f"--initial-stage is {self.initial_stage}; it is a share, from 0 to below 1")
        if not 0 < self.extracted_share <= 1:
            raise UserError(f"--extracted-share is {self.extracted_share}; it is a share, above 0 to 1")
        if self.noise_gain and not 0 <= self.noise_gain[0] <= self.noise_gain[1]:
            raise UserError("--noise-gain is a range LOW-HIGH with 0 ≤ LOW ≤ HIGH, such as 0.5-2")
        if self.flat_noise and self.domain == "log":
            raise UserError("--flat-noise is of images as they are; it does not go with --domain log")
        if self.replace and self.is_extended:
            raise UserError(
                "--replace does not go with --flat-noise, --anchor, --noise-gain and --loss rms: "
                "give --add with these, or leave them out"
            )
        if self.average >= 1:
            raise UserError(f"--average is {self.average}; a decay is less than 1, such as 0.999")

    @property
    def is_extended(self) -> bool:
        """Whether Noise2Blur has what `FlatAreaNoise2Blur` adds to it."""
        return self.method == "n2b" and (
            self.flat_noise or self.anchor or self.noise_gain is not None or self.loss != "l1"
        )

    @property
    def has_labels(self) -> bool:
        """Whether the method learns from blurred labels."""
        return self.method in ("n2b", "n2b-v")

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON and torch's weights-only loader know."""
        values = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """The inverse of `to_dict`; unknown names are an error of a newer version."""
        known = {f.name for f in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - known):
            raise UserError(f"the run's configuration has unknown fields ({', '.join(unknown)}); upgrade n2b")
        paths: dict[str, Any] = {name: tuple(values[name]) for name in ("noisy", "clean", "validation")}
        if values.get("noise_gain"):
            paths["noise_gain"] = tuple(values["noise_gain"])
        return cls(**(values | paths))

    def save(self, run: Path) -> None:
        """Write `run`/config.json."""
        write_atomically(run / CONFIG_NAME, (json.dumps(self.to_dict(), indent=2) + "\n").encode())


# fields whose option has another name
PARAMETER_OF = {
    "patch_px": "patch", "learning_rate": "lr", "nenet_skip": "plain_nenet", "validation": "val",
    "bounded": "unbounded", "record_s": "record", "initial": "init",
}  # fmt: skip


def option_of(field: str) -> str:
    """The command-line option that sets a field."""
    return "--" + PARAMETER_OF.get(field, field).replace("_", "-")


def load_config(run: Path) -> TrainConfig:
    """Read `run`/config.json.

    Raises:
        UserError: there is none, or it is damaged.
    """
    path = run / CONFIG_NAME
    try:
        return TrainConfig.from_dict(json.loads(path.read_text()))
    except OSError as error:
        raise UserError(f"{run} holds no run to resume ({CONFIG_NAME}: {error.strerror})") from error
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} is damaged ({error}); start a new run") from error
