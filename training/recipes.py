"""Recipes: named sets of defaults for options that are not given."""

from __future__ import annotations

from typing import Any

from ..runtime.errors import UserError
from .noise import lies_bare_in_flat_areas, parse_noise, replaces_pixels

DEFAULT, PAPER, REAL = "default", "paper", "real"

# name → field of TrainConfig → value, where it differs from TrainConfig's own default
RECIPES: dict[str, dict[str, Any]] = {
    DEFAULT: {"saturate": True},
    # Noise2Blur as published: a plain NENet, Adam at a constant rate, nothing bounded
    PAPER: {"nenet_skip": False, "bounded": False, "schedule": "constant", "warmup_steps": 0},
    # a camera's own noise; docs/training.md has the gain of each setting
    REAL: {
        "filter": "bilateral:15,50,7,3",
        "initial_stage": 0.3,
        "arch": "edge",  # the architecture of the bundled models that it starts from
        "initial": "auto",
        "noise_model": True,
        "extracted_share": 0.125,
        "saturate": True,
        "noise_gain": (0.8, 2.0),
        "vary_clean": True,
        "loss": "rms",
        "patch_px": 128,  # a network trained on 64 px loses up to 1 dB on whole photographs
        "batch": 8,
    },
}

# added to the default recipe, for Noise2Blur with noise that is visible alone in flat areas
_WITH_FLAT_AREAS: dict[str, Any] = {"flat_noise": True, "extracted_share": 0.125, "anchor": True}


# fields that a recipe may set
RECIPE_FIELDS = frozenset({"replace", *_WITH_FLAT_AREAS}.union(*RECIPES.values()))


def recipe_values(recipe: str, *, noise: str | None, method: str) -> dict[str, Any]:
    """Return the values of a recipe by field of TrainConfig.

    Raises:
        UserError: `noise` is no valid noise.
    """
    values = dict(RECIPES[recipe])
    if recipe == DEFAULT and method == "n2b" and noise is not None:
        parse_noise(noise)
        if lies_bare_in_flat_areas(noise):
            values |= _WITH_FLAT_AREAS
        elif replaces_pixels(noise):
            values["replace"] = True
    return values


def recipe_for(name: str | None, *, noise: str | None, method: str) -> str:
    """Return the given recipe, else "real" for Noise2Blur on a camera's own noise, else "default".

    Raises:
        UserError: there is no such recipe.
    """
    if name is None:
        return REAL if noise is None and method == "n2b" else DEFAULT
    if name not in RECIPES:
        raise UserError(f"unknown recipe '{name}'; known: {', '.join(RECIPES)}")
    return name
