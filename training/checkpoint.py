"""Write checkpoints atomically and read them without executing code from them."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import nn

from ..runtime.errors import ModelError, short_repr
from ..runtime.model_info import ModelInfo
from ..runtime.system.files import sha256_of_file, write_atomically
from .models.collapsible import fold
from .models.noise2blur import count_flops_per_pixel, count_parameters
from .models.registry import DENOISERS, build_denoiser

CHECKPOINT_NAME = "checkpoint.pt"
FORMAT = "n2b-checkpoint-1"
VALUE_TRANSFORMS = {"linear": "identity", "log": "log"}  # domain of a run → value_transform of ModelInfo
_MAX_NAMED = 3  # differences of each kind; the rest are counted


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (nested dicts and lists of tensors, numbers, strings) to `path` atomically."""
    buffer = io.BytesIO()  # writing files itself, torch reports a full disk as an internal error
    torch.save({"format": FORMAT, **state}, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint, or that in a run's folder, onto the CPU, with torch's weights-only reader.

    Raises:
        ModelError: it is missing, damaged, or no checkpoint of n2b.
    """
    path = checkpoint_path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's advice on foreign files; the error below replaces it
            state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelError(f"{path} does not exist; train one with n2b-train") from error
    except Exception as error:  # damaged files raise many kinds of errors
        raise ModelError(f"{path} is no checkpoint, or damaged; train again or name another") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ModelError(f"{path} is no checkpoint of n2b ({FORMAT} expected)")
    return state


def checkpoint_path(path: Path) -> Path:
    """Return the checkpoint of `path`, a file or the folder of a run."""
    return path / CHECKPOINT_NAME if path.is_dir() else path


def load_denoiser(path: str | Path) -> tuple[nn.Module, ModelInfo]:
    """Return the denoising network of a checkpoint, in evaluation mode on the CPU, and its ModelInfo.

    Returns:
        The network (float32 N×3×H×W in [0, 1] → the same, unclamped; for a `value_transform` of "log" both
        are logarithms, see models/value_transform.py), with the best or the averaged weights if the
        checkpoint has them; and its ModelInfo, without io and precision, which the exporter fills in.

    Raises:
        ModelError: it is missing or damaged, or its architecture, domain or weights are unknown.
    """
    file = checkpoint_path(Path(path))
    state = load_checkpoint(file)
    config, trained = state.get("config", {}), state.get("trained")
    weights = state.get("averaged", _entry(state.get("networks"), "denoiser"))
    if "selected" in state:  # the best snapshot, which need not be the last
        weights = _entry(state["selected"], "weights")
    if not (_is_plain(config) and isinstance(weights, dict) and _is_plain(trained)):
        raise ModelError(f"{file} is incomplete; train again or name another")
    arch, domain = config.get("arch", "unet"), config.get("domain", "linear")
    if domain not in tuple(VALUE_TRANSFORMS):  # it may be of any type
        raise ModelError(f"{file} was trained in the unknown domain {short_repr(domain)}; upgrade n2b")
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
    """Return True if `values` is a dict that a ModelInfo can hold: of JSON types."""
    try:
        json.dumps(values, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return False
    return isinstance(values, dict)


def _network(arch: Any, weights: dict[str, Any], file: Path) -> nn.Module:
    if arch not in tuple(DENOISERS):  # it may be of any type
        known = ", ".join(DENOISERS)
        raise ModelError(
            f"{file} has the unknown architecture {short_repr(arch)} (known: {known}); upgrade n2b"
        )
    network = build_denoiser(arch)
    if differences := _describe_differences(weights, network.state_dict()):
        raise ModelError(
            f"{file} does not contain the weights of the architecture '{arch}': {differences}; "
            "train again or name another"
        )
    network.load_state_dict(weights)
    return fold(network)


def _describe_differences(weights: Mapping[Any, Any], expected: Mapping[str, torch.Tensor]) -> str:
    """Describe how `weights` differ in names, types and shapes from those `expected`; "" if they do not.

    For example "2 missing (last.weight, last.bias), 1 of another shape (up.0.weight: 3, not 96×144×3×3)".
    """
    differences: dict[str, list[str]] = {
        "missing": [name for name in expected if name not in weights],
        "unknown": [short_repr(name) for name in weights if name not in expected],
        "of another type": [],
        "of another shape": [],
    }
    for name, model in expected.items():
        value = weights.get(name, model)
        if not _same_type(value, model):
            differences["of another type"].append(f"{name}: {_type(value)}, not {_type(model)}")
        elif value.shape != model.shape:
            differences["of another shape"].append(
                f"{name}: {_sizes(value.shape)}, not {_sizes(model.shape)}"
            )
    return ", ".join(_list(kind, items) for kind, items in differences.items() if items)


def _same_type(value: Any, expected: torch.Tensor) -> bool:
    return (
        isinstance(value, torch.Tensor)
        and (value.dtype, value.layout, value.device) == (expected.dtype, expected.layout, expected.device)
        and not value.is_quantized
    )


def _type(value: Any) -> str:
    if not isinstance(value, torch.Tensor):
        return type(value).__name__
    return str(value.dtype if value.layout == torch.strided else value.layout).removeprefix("torch.")


def _sizes(shape: torch.Size) -> str:
    return "×".join(map(str, shape)) or "scalar"


def _list(kind: str, items: list[str]) -> str:
    more = f", and {len(items) - _MAX_NAMED} more" if len(items) > _MAX_NAMED else ""
    return f"{len(items)} {kind} ({', '.join(items[:_MAX_NAMED])}{more})"
