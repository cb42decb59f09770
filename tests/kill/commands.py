"""The commands that are killed: their inputs, what starts them again, and what their results are."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tifffile
import torch
from n2b.runtime.images.image import Image, write_image
from n2b.runtime.model_info import METADATA_KEY, ModelInfo
from n2b.training.checkpoint import load_checkpoint
from n2b.training.config import CONFIG_NAME, load_config
from onnx import TensorProto, helper

from ..runtime.fakes.dnd_folder import make_folder
from ..runtime.fakes.videos import make_video
from ..training.conftest import save_images, smooth_image

Results = dict[str, Any]  # by the path of a file: what of it must not differ

MODEL = ["-m", "model.onnx", "--backend", "onnxruntime", "--device", "cpu"]
NAMES = ["image", "denoised"]  # of a model's input and output
TRAINING = ["--noisy", "in", "--noise", "gaussian:25", "--filter", "mean:3", "--arch", "edge", "--steps", "4",
            "--batch", "1", "--patch", "32", "--device", "cpu", "--precision", "fp32",
            "--checkpoint-every", "2", "--out", "out"]  # fmt: skip
REAL = ["--noisy", "in", "--clean", "clean", "--filter", "mean:3", "--arch", "edge", "--steps", "4",
        "--batch", "1", "--patch", "32", "--device", "cpu", "--precision", "fp32",
        "--checkpoint-every", "2", "--out", "out"]  # fmt: skip
EXPORT = ["camera", "--tile", "64", "--target", "none", "--no-verify", "--out", "out"]


@dataclass(frozen=True)
class Command:
    """A command that writes into the folder `out`.

    Attributes:
        prepare: makes its inputs in a folder.
        resumed: arguments of a start after a kill, once there is something to resume.
        read: returns the results in the folder `out`; raises if a file under its final name is not whole.
        share: of the number of kills; less for what takes long, which CI leaves out if it is too little.
        is_settled: returns True if a file of this name never changes, once it has its name.
    """

    program: str
    arguments: Sequence[str]
    prepare: Callable[[Path], object]
    resumed: Sequence[str] | None = None
    read: Callable[[Path], Results] = lambda out: _bytes_of(out)  # noqa: PLW0108, it is defined below
    is_settled: Callable[[str], bool] = lambda _: True
    share: float = 1.0

    def again(self, folder: Path) -> Sequence[str]:
        """Return the arguments of a start after a kill."""
        is_begun = (folder / "out" / CONFIG_NAME).exists()
        return self.resumed if self.resumed and is_begun else self.arguments


def _bytes_of(out: Path) -> Results:
    """Return the bytes of all files but hidden ones."""
    paths = [path for path in sorted(out.rglob("*")) if path.is_file()]
    return {
        path.relative_to(out).as_posix(): _without_date(path)
        for path in paths
        if not any(part.startswith(".") for part in path.relative_to(out).parts)
    }


def _without_date(path: Path) -> bytes:
    data = path.read_bytes()
    return data[116:] if path.suffix == ".mat" else data  # MATLAB's files begin with their date


def _read_export(out: Path) -> Results:
    """Return the bytes of the models; the report contains measured times."""
    return {name: data for name, data in _bytes_of(out).items() if not name.endswith(".html")}


def _read_run(out: Path) -> Results:
    """Return what a training computes: weights, state of the optimisers, losses, snapshots."""
    results: Results = {}
    if (out / "checkpoint.pt").exists():
        state = load_checkpoint(out)
        state["position"].pop("elapsed_s")
        state["trained"].pop("hours")
        results |= {f"checkpoint.pt/{name}": value for name, value in _flat(state).items()}
    if (out / CONFIG_NAME).exists():
        results[CONFIG_NAME] = load_config(out)
    for path in sorted(out.glob("snapshots/step-*.npz")):
        with np.load(path) as archive:
            results |= {f"{path.name}/{name}": archive[name].tobytes() for name in archive}
    if (out / "metrics.jsonl").exists():
        lines = (out / "metrics.jsonl").read_text().splitlines(keepends=True)
        records = [json.loads(line) for line in lines if line.endswith("\n")]
        for record in records:
            losses = {name: value for name, value in record.items() if name.startswith("loss/")}
            results[f"metrics.jsonl/{record['step']}"] = losses
    return results


def _flat(values: Any, name: str = "") -> dict[str, Any]:
    """Return all leaves of nested dicts and lists, tensors as bytes."""
    if isinstance(values, dict | list):
        items = values.items() if isinstance(values, dict) else enumerate(values)
        return {key: leaf for part, value in items for key, leaf in _flat(value, f"{name}/{part}").items()}
    return {name: values.numpy().tobytes() if isinstance(values, torch.Tensor) else values}


def _model(folder: Path) -> None:
    """Make a model that needs neither time nor memory."""
    values = [helper.make_tensor_value_info(name, TensorProto.UINT8, ("n", "h", "w", 3)) for name in NAMES]
    graph = helper.make_graph(
        [helper.make_node("Identity", NAMES[:1], NAMES[1:])], "copy", values[:1], values[1:]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {METADATA_KEY: ModelInfo("copy").to_json()})
    onnx.save(model, folder / "model.onnx")


def _images(folder: Path) -> None:
    _model(folder)
    for number in range(4):
        pixels = smooth_image(number, 40, 48)
        suffix = (".png", ".tif", ".jpg", ".webp")[number]
        write_image(folder / "in" / f"{number}{suffix}", Image(pixels))
    write_image(folder / "in" / "below" / "4.png", Image(smooth_image(4, 40, 48)))


def _large_tiff(folder: Path) -> None:
    _model(folder)
    (folder / "in").mkdir()
    pixels = np.tile(smooth_image(0, 100, 100), (24, 30, 1))
    tifffile.imwrite(folder / "in" / "a.tif", pixels, photometric="rgb", rowsperstrip=16, compression="zlib")


def _video(folder: Path) -> None:
    _model(folder)
    (folder / "in").mkdir()
    make_video(folder / "in" / "a.mp4", [800 * number for number in range(12)])


def _dnd(folder: Path) -> None:
    _model(folder)
    make_folder(folder / "in")


def _real_noise(folder: Path) -> None:
    for seed in range(3):
        noise = np.random.default_rng(seed).normal(0, 9, (96, 80, 3))
        noisy = np.clip(smooth_image(seed) + noise, 0, 255)
        write_image(folder / "in" / f"{seed}.png", Image(noisy.astype(np.uint8)))
    save_images(folder / "clean", 2, first_seed=7)


def _to_existing(folder: Path) -> None:
    """Results of an earlier export are there, which this one replaces."""
    (folder / "out").mkdir()
    (folder / "out" / "model.onnx").write_bytes(b"earlier")


COMMANDS = {
    "images": Command("n2b-infer", ["in", "-o", "out", *MODEL], _images),
    "skip existing": Command("n2b-infer", ["in", "-o", "out", "--skip-existing", *MODEL], _images),
    "strips": Command(
        "n2b-infer", ["in", "-o", "out", "--max-memory", "40", *MODEL], _large_tiff, share=0.5
    ),
    "video": Command("n2b-infer", ["in", "-o", "out", *MODEL], _video),
    "dnd": Command("n2b-infer", ["--dnd", "in", "--submission", "out", "--allow-8bit", *MODEL], _dnd),
    "training": Command(
        "n2b-train", TRAINING, lambda folder: save_images(folder / "in", 4), ["--resume", "--out", "out"],
        _read_run, lambda name: not name.startswith(("checkpoint.pt", "metrics.jsonl")), 0.5,
    ),
    "training on real noise": Command(
        "n2b-train", REAL, _real_noise, ["--resume", "--out", "out"], _read_run,
        lambda name: not name.startswith(("checkpoint.pt", "metrics.jsonl")), 0.1,
    ),
    "export": Command("n2b-export", [*EXPORT, "--fp16"], lambda _: None, read=_read_export, share=0.5),
    "export to existing": Command(
        "n2b-export", EXPORT, _to_existing, read=_read_export, is_settled=lambda name: name != "model.onnx"
    ),
}  # fmt: skip
