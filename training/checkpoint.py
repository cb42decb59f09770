"""Checkpoints: written whole or not at all, read without executing anything in them."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import nn

from ..runtime.errors import ModelError, in_short
from ..runtime.model_info import ModelInfo
from ..runtime.system.files import atomic_path, sha256_of_file
from .models.collapsible import fold
from .models.noise2blur import count_flops_per_pixel, count_parameters
from .models.registry import DENOISERS, build_denoiser
from .weights import describe_differences

CHECKPOINT_NAME = "checkpoint.pt"
FORMAT = "n2b-checkpoint-1"
VALUE_TRANSFORMS = {"linear": "identity", "log": "log"}  # a run's domain → ModelInfo's word for it


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
    except Exception as error:  # whatever the reader meets in a damaged file
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
        The network (float32 N×3×H×W in [0, 1] → the same, unclamped; for a `value_transform` of "log" both
        are logarithms, see value_transform.py), and its ModelInfo, whose io and precision are for the
        exporter to fill in. Where the checkpoint holds averaged weights, the network has those.

    Raises:
        ModelError: there is none, it is damaged, or its architecture or weights are not known here.
    """
    file = checkpoint_path(Path(path))
    state = load_checkpoint(file)
    config, trained = state.get("config", {}), state.get("trained")
    weights = state.get("averaged", _entry(state.get("networks"), "denoiser"))
    if not (_is_plain(config) and isinstance(weights, dict) and _is_plain(trained)):
        raise ModelError(f"{file} lacks what a run's checkpoint holds; train again or name another")
    arch, domain = config.get("arch", "unet"), config.get("domain", "linear")
    if domain not in tuple(VALUE_TRANSFORMS):  # it may be of any type
        raise ModelError(f"{file} was trained in the domain {in_short(domain)}, unknown here; upgrade n2b")
    network = _network(arch, weights, file)
    info = ModelInfo(
        architecture=arch,
        value_transform=VALUE_TRANSFORMS[domain],
        size_multiple_px=DENOISERS[arch].size_multiple_px,
        receptive_radius_px=DENOISERS[arch].receptive_radius_px,
        default_halo_px=DENOISERS[arch].default_halo_px,
        parameters=count_parameters(network),
        flops_per_pixel=count_flops_per_pixel(network),
        trained=trained,
        sources={"checkpoint": sha256_of_file(file)},
    )
    return network.eval(), info


def _entry(values: Any, name: str) -> Any:
    return values.get(name) if isinstance(values, dict) else None


def _is_plain(values: Any) -> TypeGuard[dict[str, Any]]:
    """Whether `values` is a dict that a ModelInfo can hold: of what JSON knows."""
    try:
        json.dumps(values, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return False
    return isinstance(values, dict)


def _network(arch: Any, weights: dict[str, Any], file: Path) -> nn.Module:
    if arch not in tuple(DENOISERS):  # it may be of any type
        known = ", ".join(DENOISERS)
        raise ModelError(
            f"{file} is of the architecture {in_short(arch)}, unknown here (known: {known}); upgrade n2b"
        )
    network = build_denoiser(arch)
    if differences := describe_differences(weights, network.state_dict()):
        raise ModelError(
            f"{file} does not hold the weights of the architecture '{arch}': {differences}; "
            "train again or name another"
        )
    network.load_state_dict(weights)
    return fold(network)
