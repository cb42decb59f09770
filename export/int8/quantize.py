"""Make the two INT8 graphs of a network from its calibration."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnx

from ...calibration.calibrate import Calibration, Placement, calibrate
from ...calibration.layers import convolutions, image_layers, last_layer, result_layers
from ...calibration.ranges import load_ranges
from ...calibration.samples import Tiles, choose_tiles, split_tiles
from ...calibration.sensitivity import ALLOWED_LOSS_DB
from ...runtime.errors import UserError
from ...runtime.system.console import Log
from ..onnx.float16 import to_fp16
from ..onnx.opset import opset_of, set_opset
from ..settings import CalibrationSettings
from ..source import Source
from .calibration_images import calibration_images
from .image_branch import split_image_convolutions, split_names
from .qdq import OPSET, quantize_for_cpu, quantize_for_tensorrt, shift_bias

HELD_OUT = 32  # tiles that only the loss is measured on
SEED = 0
PLACEMENTS: dict[str, Placement] = {"int8": quantize_for_tensorrt, "int8-cpu": quantize_for_cpu}


@dataclass(frozen=True, eq=False)
class Quantized:
    """The INT8 graphs of a network."""

    # without contract, by precision: "int8" for TensorRT, "int8-cpu" for CPUs
    graphs: dict[str, onnx.ModelProto]
    calibration: Calibration  # what they were made from
    images: str  # description of the images that were calibrated on

    def description(self, precision: str) -> dict[str, Any]:
        """Return the calibration as the model file describes it."""
        choice = self.calibration.choices[precision]
        return {
            "method": self.calibration.ranges.method,
            "images": Path(self.images).name,  # without the user's folders
            "tiles": self.calibration.ranges.tiles,
            "floats": list(choice.kept),
            "loss_db": round(choice.loss_db, 4),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for layers.json."""
        return {
            "allowed_loss_db": ALLOWED_LOSS_DB,
            "layers": [asdict(loss) for loss in self.calibration.losses],
            "files": {name: asdict(choice) for name, choice in self.calibration.choices.items()},
        }


def quantize(
    source: Source, settings: CalibrationSettings, fp32_nodes: Collection[str] = (), log: Log = lambda _: None
) -> Quantized:
    """Calibrate a network and write its INT8 graphs.

    Raises:
        UserError: there is nothing to calibrate on, the settings are impossible, or no layer tolerates INT8.
        ModelError: the network has no convolutions, or cannot be INT8.
    """
    if settings.tiles < 1:
        raise UserError(f"cannot calibrate on {settings.tiles} tiles; name 1 or more")
    bare = split_image_convolutions(set_opset(source.bare, max(OPSET, opset_of(source.bare))))
    fp32 = split_names(fp32_nodes, bare)
    half = to_fp16(bare, fp32=fp32)
    in_floats = result_layers(bare) | image_layers(bare) | fp32
    layers = [name for name in convolutions(bare) if name not in in_floats]
    if not layers:
        raise UserError("this network has no layers that could be INT8; export it with --fp16")
    network = hashlib.sha256(source.bare.SerializeToString(deterministic=True)).hexdigest()
    ranges = load_ranges(settings.ranges, network) if settings.ranges else None
    images, tiles, held_out = _tiles(source, settings, log)
    calibration = calibrate(
        bare,
        layers,
        tiles,
        held_out,
        PLACEMENTS,
        transform=source.info.value_transform,
        network=network,
        method=settings.method,
        ranges=ranges,
        log=log,
    )
    floats = {"int8": half, "int8-cpu": bare}
    graphs = {name: _write(floats[name], name, calibration, last_layer(bare)) for name in PLACEMENTS}
    return Quantized(graphs, calibration, images)


def _write(floats: onnx.ModelProto, precision: str, calibration: Calibration, last: str) -> onnx.ModelProto:
    """Return the INT8 graph with the mean of its result corrected in the last bias."""
    layers = calibration.choices[precision].layers
    graph = PLACEMENTS[precision](floats, calibration.ranges.ranges, layers)
    return shift_bias(graph, last, -calibration.mean_errors[precision])


def _tiles(source: Source, settings: CalibrationSettings, log: Log) -> tuple[str, Tiles, Tiles]:
    """Return a description of the images, tiles to calibrate on, and tiles to measure the loss on."""
    with tempfile.TemporaryDirectory() as recordings:
        description, images = calibration_images(
            source, settings.images, Path(recordings), white_level=settings.white_level
        )
        log(f"calibrating on {description}")
        every = choose_tiles(images, count=settings.tiles + HELD_OUT, seed=SEED)
    tiles, held_out = split_tiles(every, min(HELD_OUT, max(1, len(every) // 3)))
    return description, tiles.part(slice(settings.tiles)), held_out
