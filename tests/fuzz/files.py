"""The files that n2b reads: how one is made, what reads it, and how to damage what it says.

A further format is one line in FORMATS.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import onnx
import torch
from n2b.calibration.ranges import ActivationRanges, load_ranges
from n2b.export.exporter import export_model
from n2b.export.onnx.file import to_bytes
from n2b.export.onnx.io_contract import add_contract
from n2b.export.settings import ExportSettings
from n2b.export.source import load_source
from n2b.runtime.backends.tensorrt.backend import TensorRTBackend
from n2b.runtime.model_info import ModelInfo
from n2b.training.checkpoint import FORMAT, load_denoiser
from n2b.training.models.edge import EdgeNet

from . import state_files
from .file_mutations import change_bytes, change_checkpoint, change_json, change_onnx

INFO = ModelInfo(
    "unet", size_multiple_px=32, receptive_radius_px=158, default_halo_px=16, trained={"a": [1.5]}
)


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        make: a sound one, of the graph `exported` (see conftest.py) where it is made of a graph.
        read: what n2b does with it: the file, and the folder that gets what is made of it.
        change: damages what it says, where it is still such a file; damage to its bytes comes by itself.
        count: how many damaged ones are read, of 500 of an image format.
    """

    make: Callable[[onnx.ModelProto], bytes]
    read: Callable[[Path, Path], object]
    change: Callable[[bytes, Random], bytes]
    count: int


def make_onnx(exported: onnx.ModelProto) -> bytes:
    model, _ = add_contract(exported, INFO, io="uint8", tile_px=64, batch=1, dynamic=False)
    return to_bytes(model)


def export_onnx(file: Path, out: Path) -> None:
    kind = file.stat().st_size % 8  # an eighth of them is converted, and another runs for FP16: both are slow
    opset = 17 if kind == 0 else 18
    settings = ExportSettings(fp16=kind == 1, tile_px=64, target="none", verify=False, triton=out / "models")
    export_model(load_source(file, opset=opset), out / "export", settings)


def make_checkpoint(_: onnx.ModelProto) -> bytes:
    torch.manual_seed(3)
    config = {"arch": "edge", "domain": "linear"}
    weights = EdgeNet().state_dict()
    state = {"format": FORMAT, "networks": {"denoiser": weights}, "trained": {"steps": 5}, "config": config}
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def read_checkpoint(file: Path, _: Path) -> str:
    return load_denoiser(file)[1].to_json()


def make_description(_: onnx.ModelProto) -> bytes:
    shape = [1, 64, 64, 3]
    profile = {"min": shape, "opt": shape, "max": shape}
    engine = {
        "flavour": "tensorrt-rtx",
        "version": "1.7.1",
        "gpu": None,
        "precision": "fp32",
        "profile": profile,
    }
    return (
        ModelInfo("unet", size_multiple_px=32, engine=engine, sources={"a": "b"}).to_json(indent=2).encode()
    )


def read_description(file: Path, _: Path) -> None:
    engine = file.with_suffix("")
    engine.write_bytes(b"no plan, so that reading ends here at the latest")
    TensorRTBackend(engine)


def make_ranges(_: onnx.ModelProto) -> bytes:
    """ranges.json of a network with two activations."""
    tiles = {"count": 2, "tile_px": 128, "seed": 0, "sha256": "0" * 64, "names": ["a.png 0,0", "a.png 128,0"]}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "ranges.json")
        ActivationRanges("minmax", "network", {"input": (0.0, 1.0), "first": (-2.5, 3.0)}, tiles).save(path)
        return path.read_bytes()


def read_ranges(file: Path, _: Path) -> None:
    """As `n2b-export --ranges` reads them."""
    load_ranges(file, "network")


def _alone(make: Callable[[], bytes]) -> Callable[[onnx.ModelProto], bytes]:
    return lambda _: make()


FORMATS = {
    "model.onnx": Format(make_onnx, export_onnx, change_onnx, 800),
    "checkpoint.pt": Format(make_checkpoint, read_checkpoint, change_checkpoint, 400),
    "model.engine.json": Format(make_description, read_description, change_json, 400),
    "ranges.json": Format(make_ranges, read_ranges, change_json, 400),
    "initial.onnx": Format(make_onnx, state_files.read_initial_weights, change_onnx, 200),
    "chosen.engine.json": Format(
        _alone(state_files.make_engine_description), state_files.read_engine_description, change_json, 200
    ),
    "noise.json": Format(_alone(state_files.make_noise), state_files.read_noise, change_json, 100),
    "config.json": Format(_alone(state_files.make_config), state_files.read_config, change_json, 400),
    "metrics.jsonl": Format(
        _alone(state_files.make_metrics), state_files.read_metrics, state_files.change_lines, 400
    ),
    "finished.jsonl": Format(
        _alone(state_files.make_manifest), state_files.read_manifest, state_files.change_lines, 400
    ),
    "cache.json": Format(
        _alone(state_files.make_cache_entry), state_files.read_cache_entry, change_json, 200
    ),
    "label.npy": Format(_alone(state_files.make_label), state_files.read_label, change_bytes, 200),
    "snapshot.npz": Format(_alone(state_files.make_snapshot), state_files.read_snapshot, change_bytes, 200),
    "info.mat": Format(_alone(state_files.make_boxes), state_files.read_boxes, state_files.change_hdf5, 300),
    "0001.mat": Format(
        _alone(state_files.make_dnd_image), state_files.read_dnd_image, state_files.change_hdf5, 300
    ),
}
