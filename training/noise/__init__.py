"""Synthetic noise, named by a short text such as `gaussian:0-50` or `gaussian:10-30+jpeg:80`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...runtime.errors import UserError
from .chain import ChainNoise
from .gaussian import GaussianNoise
from .jpeg import JpegNoise
from .level import Level, NoiseKind, parse_level
from .poisson import PoissonNoise
from .salt_pepper import SaltPepperNoise
from .speckle import SpeckleNoise
from .text import TextNoise

# A noisy copy of an image, uint8 (H, W, 3) → the same, rounded and clipped to 0..255 as a camera would;
# the same state of the generator gives the same noise.
Noise = Callable[[np.ndarray, np.random.Generator], np.ndarray]

_KINDS: dict[str, type[NoiseKind]] = {
    "gaussian": GaussianNoise,
    "speckle": SpeckleNoise,
    "saltpepper": SaltPepperNoise,
    "text": TextNoise,
    "poisson": PoissonNoise,
    "jpeg": JpegNoise,
}
DEFAULT_FILTER = "bilateral"


def parse_noise(spec: str) -> Noise:
    """Parse a noise: `KIND:LEVEL`, or several of them joined by `+`, applied in turn.

    A level is a number, or a range `LO-HI` from which it is drawn uniformly for each image.

    Raises:
        UserError: unknown noise, or its levels do not fit.
    """
    stages = [_parse_stage(stage, spec) for stage in spec.split("+")]
    return stages[0] if len(stages) == 1 else ChainNoise(tuple(stages))


def noise_domain(spec: str | None) -> str:
    """Return the domain for a network against this noise: "log" if it multiplies, else "linear"."""
    return "log" if spec and "speckle" in _names(spec) else "linear"


def default_filter(spec: str | None) -> str:
    """Return the label filter for a noise (of a chain, its first stage); None is a camera's own noise."""
    kind = _KINDS.get(_names(spec)[0]) if spec else None
    return kind.label_filter if kind else DEFAULT_FILTER


def lies_bare_in_flat_areas(spec: str) -> bool:
    """Return True if x − blur(x) is the noise itself in flat areas: it is added, with mean zero.

    JPEG changes such noise but leaves it noise of that kind.
    """
    first, *others = _names(spec)
    return _KINDS[first].is_additive and all(_KINDS[name].is_additive or name == "jpeg" for name in others)


def replaces_pixels(spec: str) -> bool:
    """Return True if the noise replaces pixels."""
    return all(_KINDS[name].replaces for name in _names(spec))


def _names(spec: str) -> list[str]:
    return [stage.partition(":")[0] for stage in spec.split("+")]


def _parse_stage(stage: str, spec: str) -> Noise:
    name, _, values = stage.partition(":")
    kind = _KINDS.get(name)
    if kind is None:
        known = ", ".join(kind.usage for kind in _KINDS.values())
        raise UserError(
            f"unknown noise '{spec}'; known: {known}; a level may be a range LO-HI, and A+B is A, then B"
        )
    texts, (least, most) = values.split(","), kind.value_count
    try:
        if not least <= len(texts) <= most:
            raise ValueError
        levels: list[Level] = [parse_level(text) for text in texts]
    except ValueError as error:
        raise UserError(
            f"noise '{spec}' is not of the form {kind.usage}, each a number or a range LO-HI"
        ) from error
    for level, (lowest, highest) in zip(levels, kind.limits, strict=False):
        if not lowest <= level.low <= level.high <= highest:
            raise UserError(
                f"noise '{spec}' is out of range: {kind.usage}, {lowest:g} ≤ LO ≤ HI ≤ {highest:g}"
            )
    return kind(*levels)
