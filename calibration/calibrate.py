"""Calibrate a network for INT8: ranges, losses, the layers to quantize, and the shift of the mean."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx

from ..runtime.errors import UserError
from ..runtime.images.convert import to_float
from ..runtime.system.console import Log
from .layers import last_layer
from .network_values import from_network, to_network
from .ranges import ActivationRanges, Ranges, measure_ranges
from .samples import Tiles
from .sensitivity import ALLOWED_LOSS_DB, Choice, LayerLoss, Trial, choose_layers, mean_errors, measure_layers
from .session import open_session, run_session

_logger = logging.getLogger(__name__)

_MEAN_TILES = slice(64)  # tiles that the mean of the result is measured on

# Writes a float graph with the named convolutions in INT8
Placement = Callable[[onnx.ModelProto, Ranges, Collection[str]], onnx.ModelProto]


@dataclass(frozen=True, eq=False)
class Calibration:
    """Everything that is needed to write the INT8 graphs of a network."""

    ranges: ActivationRanges  # of the activations
    losses: list[LayerLoss]  # of each layer in INT8 alone, the costliest first
    choices: dict[str, Choice]  # which layers become INT8, by placement
    mean_errors: dict[str, np.ndarray]  # error of the result's mean, (channels,), by placement


def calibrate(
    bare: onnx.ModelProto,
    layers: Sequence[str],
    tiles: Tiles,
    held_out: Tiles,
    placements: Mapping[str, Placement],
    *,
    transform: str,
    network: str,
    method: str = "percentile",
    ranges: ActivationRanges | None = None,
    log: Log = lambda _: None,
) -> Calibration:
    """Measure ranges, choose the layers of each placement, and measure the mean error of the result.

    Args:
        layers: names of the convolutions that may become INT8.
        placements: writers of INT8 graphs by precision; layers are compared with the first of them.
        transform: the network's value transform, "identity" or "log".
        network: SHA-256 of the network, stored with the ranges.
        ranges: measured earlier; None: measure them.

    Raises:
        UserError: no layer tolerates INT8.
        ModelError: ONNX Runtime cannot run a graph, or an activation is not finite.
    """
    if ranges is None:
        log(f"measuring ranges on {len(tiles)} tiles ({method})")
        measured = measure_ranges(bare, _batches(tiles, transform), method=method)
        ranges = ActivationRanges(method, network, measured, tiles.describe())
    writers = {name: partial(place, bare, ranges.ranges) for name, place in placements.items()}
    trial = _trial(bare, held_out, transform)
    float_db = trial.psnr_db(bare)
    losses = measure_layers(next(iter(writers.values())), layers, trial, float_db, log)
    choices = {name: choose_layers(write, losses, trial, float_db) for name, write in writers.items()}
    _refuse_floats_only(choices)
    quantized = [write(choices[name].layers) for name, write in writers.items()]
    errors = mean_errors(bare, quantized, last_layer(bare), _batches(tiles.part(_MEAN_TILES), transform))
    return Calibration(ranges, losses, choices, dict(zip(placements, errors, strict=True)))


def _refuse_floats_only(choices: Mapping[str, Choice]) -> None:
    none = [precision for precision, choice in choices.items() if not choice.layers]
    if len(none) == len(choices):
        raise UserError(
            f"no layer of this network tolerates INT8 within {ALLOWED_LOSS_DB:g} dB; export it with --fp16, "
            "or calibrate on other images (--calib)"
        )
    for precision in none:
        _logger.warning(
            f"{precision}: no layer tolerates INT8 within {ALLOWED_LOSS_DB:g} dB; all of them stay in floats"
        )


def _batches(tiles: Tiles, transform: str) -> Iterator[np.ndarray]:
    for tile in tiles.noisy:
        yield to_network(tile[None], transform)


def _trial(bare: onnx.ModelProto, tiles: Tiles, transform: str) -> Trial:
    """Return a trial on noisy tiles and their clean ones.

    Without clean tiles the network's own results count as clean, and what it removed, rotated by 180° so
    that it is independent of the tile, is the noise added to them.
    """
    to_images = partial(from_network, transform=transform)
    noisy = to_float(tiles.noisy)
    if tiles.clean is not None:
        return Trial(to_network(noisy, transform), to_float(tiles.clean), to_images)
    session = open_session(bare.SerializeToString(), "the network to calibrate")
    clean = np.concatenate([to_images(run_session(session, to_network(x[None], transform))) for x in noisy])
    again = np.clip(clean + (noisy - clean)[:, ::-1, ::-1], 0, 1)
    return Trial(to_network(again, transform), clean, to_images)
