"""Untrained networks, as checkpoints."""

from __future__ import annotations

from pathlib import Path

import torch
from n2b.training.checkpoint import save_checkpoint
from n2b.training.models.registry import build_denoiser

SIDE_PX = 32  # of the images


def save_untrained(path: Path, *, seed: int, scale: float = 1.0) -> None:
    """Write a checkpoint of `edge` with random weights times `scale`."""
    torch.manual_seed(seed)
    weights = {name: scale * value for name, value in build_denoiser("edge").state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    config = {"arch": "edge", "domain": "linear"}
    save_checkpoint(path, {"config": config, "trained": {}, "networks": {"denoiser": weights}})
