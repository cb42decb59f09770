"""TrainConfig: everything that decides a run, saved as config.json; its fields are n2b-train's options."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import MISSING, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..runtime.errors import UserError, shorten
from ..runtime.model_files import bundled_models
from ..runtime.passwords import hide_passwords
from ..runtime.system.files import parse_json, write_atomically
from ..runtime.system.options import check_types, option, option_name, options_of, parse_range
from .labels.filters import parse_filter
from .noise import default_filter, noise_domain, parse_noise
from .recipes import RECIPES

CONFIG_NAME = "config.json"
DEFAULT_STEPS = 296_000  # the paper's schedule
MAX_GAIN = 100  # of --noise-gain
MIN_MODELLED_PATCH_PX = 32  # tiles in which the noise model is measured
METHODS = ("n2b", "n2b-v", "supervised", "n2n", "n2v")
ARCHITECTURES = ("unet", "edge", "dncnn")
DOMAINS = ("linear", "log")
LOSSES = ("l1", "rms")
AUTO, NO_WEIGHTS = "auto", "none"  # the latter for --init
_PATHS = ("noisy", "clean", "dark", "validation")  # fields of several paths
MACHINE_PANEL = "Machine and run"
_images, _method, _schedule, _machine = (
    partial(option, panel) for panel in ("Images", "Method", "Schedule", MACHINE_PANEL)
)


def _initial_weights(value: str, _option: str) -> str:
    """Return the name of a bundled model, "auto" or "none" as it is, a file's as an absolute path."""
    is_name = value in (AUTO, NO_WEIGHTS, *bundled_models()) and not Path(value).exists()
    return value if is_name else str(Path(value).absolute())


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides what a run computes. Paths are absolute; sizes in pixels.

    `filter` and `domain` given as "auto" take the value that suits the noise.

    Raises:
        UserError: a value is out of its bounds, or two do not go together.
    """

    noisy: tuple[str, ...] = _images(
        MISSING,
        "Noisy images: file, folder, glob or video, camera:0, dnd:FOLDER; repeatable.",
        metavar="PATH",
    )
    clean: tuple[str, ...] = _images(
        (),
        "Clean photographs of anything else; repeatable. Default with --noise: half of --noisy.",
        metavar="PATH",
    )
    white_level: float | None = _images(
        None, "Value of white in 16-bit and floating-point images, such as 4095 for 12 bit.", metavar="N"
    )
    noise: str | None = _images(
        None,
        "Synthetic noise to add to --noisy: gaussian:0-50, speckle:0.1, saltpepper:0.5, text:0.2, "
        "poisson:2,3, jpeg:80, or several as gaussian:25+jpeg:80.",
        metavar="SPEC",
    )
    dark: tuple[str, ...] = _images(
        (),
        "Dark frames of the camera, whose fixed pattern is subtracted from --noisy; repeatable.",
        metavar="PATH",
    )
    record_s: float = _images(
        10.0, "How long to record a camera.", name="--record", metavar="SECONDS", above=0, maximum=86_400
    )
    validation: tuple[str, ...] = _images(
        (), "Clean photographs to measure PSNR on, with --noise; repeatable.", name="--val", metavar="PATH"
    )
    recipe: str = _method(
        "default",
        "Defaults for the rest: real for a camera's own noise, paper for Noise2Blur as published.",
        choices=tuple(RECIPES),
        default_text="real without --noise, else default",
    )
    method: str = _method("n2b", "Training method.", choices=METHODS)
    arch: str = _method(
        "unet",
        "Denoising network: unet (the paper's), edge (for real-time cameras) or dncnn.",
        choices=ARCHITECTURES,
    )
    filter: str = _method(
        AUTO,
        "Blur that makes the labels: bilateral, gaussian:3, mean:31, median:31, bm3d; auto: by the noise.",
        metavar="SPEC",
    )
    domain: str = _method(
        AUTO,
        "Values the networks compute on: linear; log for multiplicative noise; auto: by the noise.",
        choices=(AUTO, *DOMAINS),
    )
    nenet_skip: bool = _method(
        True, "NENet with a skip connection, or as published.", name="--skip-nenet/--plain-nenet"
    )
    bounded: bool = _method(
        True,
        "Clip the gradients and the values that the networks pass to each other.",
        name="--bounded/--unbounded",
    )
    turn_noise: bool = _method(
        False, "Flip, rotate and roll the extracted noise before it is added to a clean crop."
    )
    shuffle_channels: bool = _method(False, "Permute the colour channels of the extracted noise.")
    saturate: bool = _method(
        False, "Clip clean crops with added noise to the range of an image, as a sensor does."
    )
    replace: bool = _method(
        False, "Let the noise replace pixels, as text does, or add to them.", name="--replace/--add"
    )
    initial_stage: float = _method(
        0.05, "Share of the training before the losses change.", metavar="SHARE", minimum=0, below=1
    )
    flat_noise: bool = _method(
        False, "Add the noise of flat areas of --noisy to clean crops, next to the extracted noise."
    )
    noise_model: bool = _method(
        False,
        "Add noise that is synthesised from a model of the noise of --noisy to clean crops, next to the "
        "extracted noise.",
    )
    extracted_share: float = _method(
        0.5,
        "With --flat-noise or --noise-model: share of a batch that gets the extracted noise instead.",
        metavar="SHARE",
        above=0,
        maximum=1,
    )
    anchor: bool = _method(False, "Scale the extracted noise to that of the flattest blocks of its crop.")
    noise_gain: tuple[float, float] | None = _method(
        None,
        "Range of a random factor on the noise that is added to clean crops.",
        metavar="LOW-HIGH",
        parse=parse_range,
    )
    vary_clean: bool = _method(False, "Also train on blurred, enlarged and reduced copies of --clean.")
    loss: str = _method(
        "l1", "Loss of the denoiser: l1, or rms, the root mean square of each crop.", choices=LOSSES
    )
    average: float = _method(
        0.0,
        "Decay of the moving average of the weights, e.g. 0.999; 0: no average.",
        metavar="DECAY",
        minimum=0,
        below=1,
    )
    steps: int | None = _schedule(
        None,
        "Length of the training in optimiser steps.",
        default_text=f"{DEFAULT_STEPS}, as the paper",
        minimum=1,
        maximum=10**9,
    )
    minutes: float | None = _schedule(
        None,
        "Length in minutes, instead of --steps.",
        default_text="3 without --noisy, 10 from a bundled model",
        above=0,
        maximum=525_600,
    )
    batch: int = _schedule(16, "Crops per step, over all processes.", minimum=1, maximum=65_536)
    patch_px: int = _schedule(128, "Side of a crop in pixels.", name="--patch", minimum=8, maximum=8192)
    learning_rate: float = _schedule(
        1e-3,
        "Peak learning rate of Adam.",
        name="--lr",
        default_text="0.001, from a bundled model 0.0003",
        above=0,
        maximum=10,
    )
    schedule: str = _schedule("cosine", "Learning rate after the warm-up.", choices=("cosine", "constant"))
    warmup_steps: int = _schedule(50, "Steps of learning-rate warm-up.", minimum=0, maximum=10**9)
    seed: int = _schedule(
        0, "Seed of the split, the noise, the crops and the initial weights.", minimum=0, maximum=2**63 - 1
    )
    initial: str | None = _schedule(
        None,
        "Start from the weights of a checkpoint, an exported .onnx file or a bundled model (camera, "
        "gaussian); none: random weights; auto: camera for real noise, if it has the --arch.",
        name="--init",
        metavar="CHECKPOINT|MODEL",
        parse=_initial_weights,
    )
    device: str = _machine(AUTO, "auto, cpu, cuda, cuda:N or mps.")
    precision: str = _machine(
        AUTO,
        "Precision of the training; auto: bf16 if the hardware has it, else fp32.",
        choices=(AUTO, "fp32", "bf16", "fp16"),
    )
    compile: str = _machine(AUTO, "torch.compile; auto: on a GPU.", choices=(AUTO, "on", "off"))
    checkpoint_every: int = _machine(
        500, "Steps between checkpoints.", metavar="STEPS", minimum=1, maximum=10**9
    )
    keep_snapshots: bool = _machine(
        False, "Keep each snapshot that is compared in judged/, and rank all in judgement.jsonl."
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
        if self.noise_gain and not 0 <= self.noise_gain[0] <= self.noise_gain[1] <= MAX_GAIN:
            raise UserError(
                f"--noise-gain is a range LOW-HIGH with 0 ≤ LOW ≤ HIGH ≤ {MAX_GAIN}, such as 0.5-2"
            )
        if (self.flat_noise or self.noise_model) and self.domain == "log":
            raise UserError(
                "--flat-noise and --noise-model work on linear values; they do not go with --domain log"
            )
        if self.noise_model and self.flat_noise:
            raise UserError("--flat-noise and --noise-model exclude each other; add --no-noise-model")
        if self.noise_model and self.patch_px < MIN_MODELLED_PATCH_PX:
            raise UserError(
                f"--noise-model needs a --patch of at least {MIN_MODELLED_PATCH_PX}; or add --no-noise-model"
            )
        if self.replace and self.is_extended:
            raise UserError(
                "--replace does not go with --flat-noise, --noise-model, --anchor, --noise-gain and "
                "--loss rms: give --add with these, or omit them"
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
        """Return True if the run uses what `FlatAreaNoise2Blur` or `ModelledNoise2Blur` adds."""
        is_noise_added = self.flat_noise or self.noise_model
        return self.method == "n2b" and (
            is_noise_added or self.anchor or self.noise_gain is not None or self.loss != "l1"
        )

    @property
    def has_labels(self) -> bool:
        """Return True if the method learns from blurred labels."""
        return self.method in ("n2b", "n2b-v")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON and torch's weights-only loader can hold, without passwords."""
        values = dataclasses.asdict(self)
        values["noisy"] = [hide_passwords(name, is_address=True) for name in self.noisy]
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """Return the inverse of `to_dict`; raise UserError for unknown fields, TypeError for other values."""
        if not isinstance(values, dict):
            raise TypeError("it is not a JSON object")
        if unknown := sorted(set(values) - set(options_of(cls))):
            names = shorten(", ".join(unknown), 99)
            raise UserError(f"{CONFIG_NAME} has unknown fields, {names}; upgrade n2b")
        check_types(cls, values)
        paths: dict[str, Any] = {name: tuple(values[name]) for name in _PATHS if name in values}
        if values.get("noise_gain"):
            paths["noise_gain"] = tuple(values["noise_gain"])
        return cls(**(values | paths))

    def to_json(self) -> str:
        """Return the content of config.json."""
        return json.dumps(self.to_dict(), indent=2) + "\n"

    def save(self, run: Path) -> None:
        """Write `run`/config.json."""
        write_atomically(run / CONFIG_NAME, self.to_json().encode())


def load_config(run: Path) -> TrainConfig:
    """Read `run`/config.json.

    Raises:
        UserError: it is missing or damaged.
    """
    path = run / CONFIG_NAME
    try:
        return TrainConfig.from_dict(parse_json(path.read_bytes()))
    except OSError as error:
        raise UserError(f"{run} contains no run to resume ({CONFIG_NAME}: {error.strerror})") from error
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} is damaged ({error}); start a new run") from error
