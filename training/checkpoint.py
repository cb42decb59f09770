"""Checkpoints: written whole or not at all, read without executing anything in them."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..runtime.artifact import ModelInfo, atomic_path, sha256_of_file
from ..runtime.errors import ModelError
from .networks import DnNet, count_flops_per_pixel, count_parameters

CHECKPOINT_NAME = "checkpoint.pt"
FORMAT = "n2b-checkpoint-1"


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (nested dicts and lists of tensors, numbers, strings) to `path` atomically."""
    with atomic_path(path) as temporary:
        torch.save({"format": FORMAT, **state}, temporary)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, onto the CPU, with torch's weights-only reader.

    Args:
        path: a checkpoint, or the folder of a run.

    Raises:
        ModelError: there is none, or it is damaged or something else.
    """
    path = checkpoint_path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's advice on foreign files; the error below says it
            state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelError(f"{path} does not exist; train one with n2b-train") from error
    except (
        OSError,
        RuntimeError,
        ValueError,
        EOFError,
        KeyError,
        AttributeError,
        pickle.UnpicklingError,
    ) as error:
        raise ModelError(f"{path} is no checkpoint, or damaged; train again or name another") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ModelError(f"{path} is no checkpoint of n2b ({FORMAT} expected)")
    return state


def checkpoint_path(path: Path) -> Path:
    """The checkpoint that `path`, a file or the folder of a run, stands for."""
    return path / CHECKPOINT_NAME if path.is_dir() else path


def load_denoiser(path: str | Path) -> tuple[nn.Module, ModelInfo]:
    """The denoising network of a checkpoint, in evaluation mode on the CPU, and what is known of it.

    Args:
        path: a checkpoint, or the folder of a run.

    Returns:
        The network (float32 N×3×H×W in [0, 1] → the same, unclamped), and its ModelInfo, whose io and
        precision are for the exporter to fill in.

    Raises:
        ModelError: there is none, it is damaged, or its weights do not fit the network.
    """
    file = checkpoint_path(Path(path))
    state = load_checkpoint(file)
    network = DnNet()
    try:
        network.load_state_dict(state["networks"]["denoiser"])
        trained = dict(state["trained"])
    except (KeyError, TypeError, AttributeError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"{file} does not hold the weights of a DnNet; train again or name another"
        ) from error
    info = ModelInfo(
        architecture="unet",
        size_multiple_px=DnNet.size_multiple_px,
        receptive_radius_px=DnNet.receptive_radius_px,
        default_halo_px=DnNet.default_halo_px,
        parameters=count_parameters(network),
        flops_per_pixel=count_flops_per_pixel(network),
        trained=trained,
        sources={"checkpoint": sha256_of_file(file)},
    )
    return network.eval(), info
