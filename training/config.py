"""TrainConfig: everything that decides a run, saved beside it as config.json."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..runtime.artifact import write_atomically
from ..runtime.errors import UserError
from .filters import parse_filter
from .noise import parse_noise

CONFIG_NAME = "config.json"
INITIAL_STAGE = 0.05  # share of the training that Algorithm 1 spends in its initial stage


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides what a run computes. Paths are absolute; sizes in pixels."""

    noisy: tuple[str, ...]  # noisy images, or clean ones that `noise` is added to
    clean: tuple[str, ...] = ()  # unrelated clean photographs; empty: `noisy` is split in two halves
    noise: str | None = None  # synthetic noise added to `noisy`, e.g. "gaussian:0-50"
    filter: str = "bilateral"  # blur that makes the labels, e.g. "mean:31"
    steps: int | None = None  # length of the training in optimiser steps …
    minutes: float | None = None  # … or in minutes of wall-clock time
    batch: int = 16
    patch_px: int = 128
    learning_rate: float = 1e-3
    warmup_steps: int = 50
    nenet_skip: bool = True
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    checkpoint_every: int = 500  # steps
    validation: tuple[str, ...] = ()  # clean photographs to measure PSNR on

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise UserError("give the length of the training as --steps or as --minutes, one of them")
        for name, least in (
            ("steps", 1),
            ("minutes", 1e-9),
            ("batch", 1),
            ("patch_px", 8),
            ("checkpoint_every", 1),
            ("learning_rate", 1e-12),
        ):
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise UserError(
                    f"--{name.removesuffix('_px').replace('_', '-')} is {value}; it must be at least {least}"
                )

        parse_filter(self.filter)
        if self.noise is not None:
            parse_noise(self.noise)
        if self.validation and self.noise is None:
            raise UserError("--val measures synthetic noise; give --noise with it")

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
        return cls(**(values | paths))

    def save(self, run: Path) -> None:
        """Write `run`/config.json."""
        write_atomically(run / CONFIG_NAME, (json.dumps(self.to_dict(), indent=2) + "\n").encode())


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
