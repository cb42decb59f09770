"""A network → its two INT8 graphs, by ranges and a choice of layers that were measured."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ...calibration.bias import mean_errors, shift_bias
from ...calibration.image_branch import image_layers, split_image_convolutions
from ...calibration.quantize import OPSET, convolutions, quantize_for_cpu, quantize_for_tensorrt
from ...calibration.ranges import ActivationRanges, Ranges, load_ranges, measure_ranges
from ...calibration.samples import Tiles, choose_tiles, split_tiles
from ...calibration.sensitivity import (
    ALLOWED_LOSS_DB,
    Choice,
    LayerLoss,
    Trial,
    choose_layers,
    measure_layers,
    result_layers,
)
from ...calibration.session import open_session, run_session
from ...runtime.errors import UserError
from ..fp16_overflow import nodes_for_fp32
from ..onnx.float16 import to_fp16
from ..onnx.opset import opset_of, set_opset
from ..settings import CalibrationSettings
from ..source import Source
from ..verify.reference_values import from_network, to_network
from .calibration_images import calibration_pictures

_logger = logging.getLogger(__name__)

_FIRST = slice(64)  # tiles that the mean of the result is measured on
HELD_OUT = 32  # tiles that the loss is measured on, and nothing calibrated
SEED = 0


@dataclass(frozen=True, eq=False)
class Quantized:
    """What INT8 made of a network.

    Attributes:
        tensorrt, cpu: the graphs, without contract.
        ranges: of the activations.
        losses: what each layer costs alone, the costliest first.
        choices: for "int8" and "int8-cpu".
        pictures: what was calibrated on, in words.
    """

    tensorrt: onnx.ModelProto
    cpu: onnx.ModelProto
    ranges: ActivationRanges
    losses: list[LayerLoss]
    choices: dict[str, Choice]
    pictures: str

    def description(self, precision: str) -> dict[str, Any]:
        """What the model file says of its calibration."""
        choice = self.choices[precision]
        return {
            "method": self.ranges.method,
            "pictures": Path(self.pictures).name,  # without the user's folders
            "tiles": self.ranges.tiles,
            "floats": list(choice.kept),
            "loss_db": round(choice.loss_db, 4),
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain values for layers.json."""
        return {
            "allowed_loss_db": ALLOWED_LOSS_DB,
            "layers": [asdict(loss) for loss in self.losses],
            "files": {name: asdict(choice) for name, choice in self.choices.items()},
        }


def quantize(
    source: Source, settings: CalibrationSettings, say: Callable[[str], None] = lambda _: None
) -> Quantized:
    """Calibrate a network and choose the layers that become INT8.

    Args:
        source: the network in FP32.
        settings: what to calibrate on, and how.
        say: hears what is being done, line by line.

    Raises:
        UserError: there is nothing to calibrate on, the settings are impossible, or no layer bears INT8.
        ModelError: the network has no convolutions, or cannot be INT8.
    """
    if settings.tiles < 1:
        raise UserError(f"{settings.tiles} tiles are none to calibrate on; name 1 or more")
    bare = split_image_convolutions(set_opset(source.bare, max(OPSET, opset_of(source.bare))))
    fp32 = nodes_for_fp32(dataclasses.replace(source, bare=bare), say)
    half = to_fp16(bare, fp32=fp32)
    in_floats = result_layers(bare) | image_layers(bare) | set(fp32)
    layers = [name for name in convolutions(bare) if name not in in_floats]
    if not layers:
        raise UserError("this network has no layers that could be INT8; export it with --fp16")
    transform = source.info.value_transform
    network = hashlib.sha256(source.bare.SerializeToString(deterministic=True)).hexdigest()
    known = load_ranges(settings.ranges, network) if settings.ranges else None
    pictures, tiles, apart = _tiles(source, settings, say)
    if known is None:
        say(f"measuring ranges on {len(tiles)} tiles ({settings.method})")
        measured = measure_ranges(bare, _batches(tiles, transform), method=settings.method)
        known = ActivationRanges(settings.method, network, measured, _description(tiles))
    losses, choices = _choose(bare, known.ranges, layers, _trial(bare, apart, transform), say)
    batches = _batches(tiles.part(_FIRST), transform)
    tensorrt, cpu = _with_exact_mean(bare, half, known.ranges, choices, batches)
    return Quantized(tensorrt, cpu, known, losses, choices, pictures)


def _tiles(
    source: Source, settings: CalibrationSettings, say: Callable[[str], None]
) -> tuple[str, Tiles, Tiles]:
    """What the pictures are, in words; the tiles to calibrate on; those to measure the loss on."""
    with tempfile.TemporaryDirectory() as recordings:
        words, pictures = calibration_pictures(source, settings.pictures, Path(recordings))
        say(f"calibrating on {words}")
        every = choose_tiles(pictures, count=settings.tiles + HELD_OUT, seed=SEED)
    tiles, apart = split_tiles(every, min(HELD_OUT, max(1, len(every) // 3)))
    return words, tiles.part(slice(settings.tiles)), apart


def _choose(
    bare: onnx.ModelProto, ranges: Ranges, layers: Sequence[str], trial: Trial, say: Callable[[str], None]
) -> tuple[list[LayerLoss], dict[str, Choice]]:
    """What each layer costs, the costliest first; which become INT8 in which file."""
    for_tensorrt = partial(quantize_for_tensorrt, bare, ranges)
    for_cpu = partial(quantize_for_cpu, bare, ranges)
    float_db = trial.psnr_db(bare)
    losses = measure_layers(for_tensorrt, layers, trial, float_db, say)
    choices = {
        "int8": choose_layers(for_tensorrt, losses, trial, float_db),
        "int8-cpu": choose_layers(for_cpu, losses, trial, float_db),
    }
    none = [precision for precision, choice in choices.items() if not choice.layers]
    if len(none) == len(choices):
        raise UserError(
            f"no layer of this network bears INT8 within {ALLOWED_LOSS_DB:g} dB; export it with --fp16, or "
            "calibrate on other images (--calib)"
        )
    for precision in none:
        _logger.warning(
            f"{precision}: no layer bears INT8 within {ALLOWED_LOSS_DB:g} dB; all of them stay in floats"
        )
    return losses, choices


def _with_exact_mean(
    bare: onnx.ModelProto,
    half: onnx.ModelProto,
    ranges: Ranges,
    choices: dict[str, Choice],
    batches: Iterable[np.ndarray],
) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """The graphs for TensorRT and for CPUs, the mean of their results put right in the last bias.

    Args:
        bare, half: the network in FP32 and in FP16.
        batches: what the mean is measured on, in FP32 for both.
    """
    last = _last_layer(bare)
    for_tensorrt, for_cpu = choices["int8"].layers, choices["int8-cpu"].layers
    cpu = quantize_for_cpu(bare, ranges, for_cpu)
    errors = mean_errors(bare, [quantize_for_tensorrt(bare, ranges, for_tensorrt), cpu], last, batches)
    tensorrt = quantize_for_tensorrt(half, ranges, for_tensorrt)
    return shift_bias(tensorrt, last, -errors[0]), shift_bias(cpu, last, -errors[1])


def _last_layer(bare: onnx.ModelProto) -> str:
    """The convolution that makes the result; of several one with a bias, if there is one."""
    last = result_layers(bare)
    makers = [node for node in bare.graph.node if node.name in last]
    return max(makers, key=lambda node: len(node.input)).name


def _batches(tiles: Tiles, transform: str) -> Iterator[np.ndarray]:
    for tile in tiles.noisy:
        yield to_network(tile[None], transform)


def _description(tiles: Tiles) -> dict[str, Any]:
    return {
        "count": len(tiles),
        "tile_px": tiles.noisy.shape[1],
        "seed": tiles.seed,
        "sha256": tiles.sha256,
        "names": list(tiles.names),
    }


def _trial(bare: onnx.ModelProto, tiles: Tiles, transform: str) -> Trial:
    """Noisy tiles and their clean ones.

    Where no clean ones are known, the network makes them: what it gives counts as clean, and what it
    removed, turned by half a circle so that it is that tile's noise no longer, as noise to add.
    """
    to_images = partial(from_network, transform=transform)
    noisy = tiles.noisy.astype(np.float32) / 255
    if tiles.clean is not None:
        return Trial(to_network(noisy, transform), tiles.clean.astype(np.float32) / 255, to_images)
    session = open_session(bare.SerializeToString(), "the network to calibrate")
    clean = np.concatenate([to_images(run_session(session, to_network(x[None], transform))) for x in noisy])
    again = np.clip(clean + (noisy - clean)[:, ::-1, ::-1], 0, 1)
    return Trial(to_network(again, transform), clean, to_images)
