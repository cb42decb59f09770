"""Recipes: named sets of defaults, for what the user has not named."""

from __future__ import annotations

from typing import Any

from ..runtime.errors import UserError

DEFAULT, PAPER, REAL = "default", "paper", "real"

# name → field of TrainConfig → value, where it differs from TrainConfig's own default
RECIPES: dict[str, dict[str, Any]] = {
    DEFAULT: {},
    # Noise2Blur as published: a plain NENet, Adam at a constant rate, nothing bounded
    PAPER: {
        "nenet_skip": False,
        "bounded": False,
        "schedule": "constant",
        "warmup_steps": 0,
    },
    # a camera's own noise: docs/training.md has what each of these is worth
    REAL: {
        "filter": "bilateral:15,50,7,3",
        "initial_stage": 0.3,
        "flat_noise": True,
        "anchor": True,
        "noise_gain": (0.5, 2.5),
        "vary_clean": True,
        "loss": "rms",
        "patch_px": 64,
        "batch": 16,
    },
}


def recipe_for(name: str | None, *, noise: str | None, method: str) -> str:
    """The recipe to use: the one named, else "real" for Noise2Blur on a camera's own noise, else "default".

    Raises:
        UserError: there is no such recipe.
    """
    if name is None:
        return REAL if noise is None and method == "n2b" else DEFAULT
    if name not in RECIPES:
        raise UserError(f"unknown recipe '{name}'; known: {', '.join(RECIPES)}")
    return name
