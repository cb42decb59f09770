"""Files that the commands write for themselves, and those of the DND benchmark, with their readers."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np
from n2b.runtime.backends.autotune_cache import read_entry
from n2b.runtime.commands.manifest import RECORD, Manifest, ManifestKey
from n2b.runtime.images.dnd import list_crops, read_crops
from n2b.runtime.model_files import find_model
from n2b.runtime.pipelines.job import Job
from n2b.training.config import CONFIG_NAME, TrainConfig
from n2b.training.labels.filters import parse_filter
from n2b.training.labels.labels import make_labels
from n2b.training.metrics import METRICS_NAME, read_curves
from n2b.training.models.onnx_weights import read_weights
from n2b.training.noise_model.model import KNOTS, SHIFTS, NoiseModel
from n2b.training.report.snapshots import read_snapshots
from n2b.training.run import resumed_run

from ..runtime.fakes.dnd_folder import make_folder
from .file_mutations import FLOATS, INTEGERS, TEXTS, change_bytes, change_json

MANIFEST_KEY = ManifestKey("0" * 64, {"strength": 1.0})
PIXELS = np.arange(8 * 9 * 3, dtype=np.uint8).reshape(8, 9, 3)


def make_manifest() -> bytes:
    """Return a manifest of two results, the first of them finished."""
    entry = {"input": "0" * 64, "bytes": 9, "mtime_ns": 1, "model": "0" * 64, "settings": {"strength": 1.0}}
    return b"".join(json.dumps({"result": name, **entry}).encode() + b"\n" for name in ("a.png", "b.png"))


def read_manifest(file: Path, _: Path) -> None:
    """As `--skip-existing` reads it. Nothing in it can make a result that is not there a finished one."""
    with _placed(file, RECORD) as folder:
        assert not Manifest(MANIFEST_KEY).has(Job(file, folder / "a.png"))


def make_config() -> bytes:
    config = TrainConfig(noisy=("in",), noise="gaussian:25", steps=5, noise_gain=None, patch_px=64)
    return json.dumps(config.to_dict()).encode()


def read_config(file: Path, _: Path) -> None:
    """As `--resume` reads it."""
    with _placed(file, CONFIG_NAME) as folder:
        config = resumed_run(folder, {})[1]
    assert TrainConfig.from_dict(config.to_dict()) == config


def make_noise() -> bytes:
    model = NoiseModel(
        level=np.ones(KNOTS), level_spread=np.ones(KNOTS), image_level=np.ones((2, KNOTS)),
        image_level_spread=np.ones((2, KNOTS)), source=np.array([0, 0]), windows=np.array([3, 4]),
        covariance=np.ones((1, 3, 3, SHIFTS, SHIFTS)), tilt=np.zeros((3, 3, SHIFTS, SHIFTS)),
        middle=128.0, half_range=64.0,
    )  # fmt: skip
    return json.dumps(model.to_dict()).encode()


def read_noise(file: Path, _: Path) -> None:
    model = NoiseModel.load(file)
    values = model.level_at(0, np.array([0.0, 99, 255])), model.covariance_at(int(model.source[-1]), 99)
    assert all(np.isfinite(one).all() for one in values)


def make_metrics() -> bytes:
    records = [{"step": step, "loss/n2b": 0.5, "validation/psnr_db": None} for step in range(1, 9)]
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def read_metrics(file: Path, _: Path) -> None:
    with _placed(file, METRICS_NAME) as folder:
        for curve in read_curves(folder).values():
            assert np.isfinite(curve.values).all()
            assert (np.diff(curve.steps) > 0).all()


def change_lines(data: bytes, random: Random) -> bytes:
    """Change the JSON of one line."""
    lines = data.splitlines(keepends=True)
    index = random.randrange(len(lines))
    lines[index] = change_json(lines[index], random) + b"\n"
    return b"".join(lines)


def make_label() -> bytes:
    file = io.BytesIO()
    np.save(file, parse_filter("mean:3")(PIXELS))
    return file.getvalue()


def read_label(file: Path, _: Path) -> None:
    """As a training reads the label of an image: one that is damaged is made again."""
    blur = parse_filter("mean:3")
    with tempfile.TemporaryDirectory() as folder:
        list(make_labels([PIXELS], blur, Path(folder)))
        (cached,) = Path(folder).iterdir()
        cached.write_bytes(file.read_bytes())
        ((image, label),) = make_labels([PIXELS], blur, Path(folder))
    assert (image == PIXELS).all()
    assert (label.shape, label.dtype) == (PIXELS.shape, PIXELS.dtype)


def make_snapshot() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(
        file, noisy=PIXELS, denoised=PIXELS, residual=PIXELS.astype(np.float16), extracted=PIXELS / 2
    )
    return file.getvalue()


def read_snapshot(file: Path, _: Path) -> None:
    with _placed(file, "snapshots/step-0000005.npz") as folder:
        for snapshot in read_snapshots(folder):
            assert snapshot.noisy.shape == snapshot.denoised.shape
            assert snapshot.noisy.dtype == snapshot.denoised.dtype == np.uint8


def make_cache_entry() -> bytes:
    return json.dumps({"fastest": "openvino", "seconds": {"openvino": 0.1, "onnxruntime": 0.2}}).encode()


def read_cache_entry(file: Path, _: Path) -> None:
    entry = read_entry(file)
    assert entry is None or isinstance(entry, dict)


def make_engine_description() -> bytes:
    return json.dumps({"sources": {"model.onnx": "0" * 64}, "engine": {"onnx_sha256": "0" * 64}}).encode()


def read_engine_description(file: Path, _: Path) -> None:
    """As `-m FOLDER` chooses the engine of an export."""
    with _placed(file, "model.engine.json") as folder:
        for name in ("model.engine", "model.onnx"):
            (folder / name).write_bytes(b"")
        assert find_model(folder).engine == folder / "model.engine"


def read_initial_weights(file: Path, _: Path) -> None:
    """As `--init model.onnx` reads them."""
    assert all(weight.is_floating_point() for weight in read_weights(file).values())


def make_boxes() -> bytes:
    return (_dnd() / "info.mat").read_bytes()


def read_boxes(file: Path, _: Path) -> None:
    with _placed(file, "info.mat", _dnd()) as folder:
        _read_benchmark(folder)


def make_dnd_image() -> bytes:
    return (_dnd() / "images_srgb" / "0001.mat").read_bytes()


def read_dnd_image(file: Path, _: Path) -> None:
    with _placed(file, "images_srgb/0001.mat", _dnd()) as folder:
        _read_benchmark(folder)


def _read_benchmark(folder: Path) -> None:
    for crop, pixels in read_crops(folder, list_crops(folder)[:6]):
        assert pixels.shape == (crop.height, crop.width, 3)
        assert pixels.dtype == np.float32
        assert np.isfinite(pixels).all()


def change_hdf5(data: bytes, random: Random) -> bytes:
    """Replace a dataset by one of another kind, shape or content; else change bytes."""
    file = io.BytesIO(data)
    with h5py.File(file, "a") as archive:
        names: list[str] = []
        archive.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        name = random.choice(names)
        before = np.asarray(archive[name])
        del archive[name]
        if random.random() < 0.9:
            try:
                archive[name] = random.choice(_OTHERS)(before, random)
            except (TypeError, ValueError, OverflowError):  # h5py itself refuses it
                return change_bytes(data, random)
    return file.getvalue()


def _some_number(before: np.ndarray, random: Random) -> np.ndarray:
    if before.dtype.kind not in "fiu" or not before.size:
        return before
    changed = before.astype(np.float64)
    changed.flat[random.randrange(changed.size)] = random.choice([*FLOATS, *INTEGERS[:-1]])
    return changed


_OTHERS: list[Any] = [
    _some_number,
    _some_number,
    _some_number,
    lambda before, _: before.T,
    lambda before, _: before[..., :1],
    lambda before, _: before[None],
    lambda before, _: before.ravel()[:0],
    lambda before, _: before.astype(np.int16) if before.dtype.kind == "f" else 3,
    lambda _, random: random.choice(TEXTS),
    lambda _, random: random.choice(FLOATS),
    lambda *_: np.full((3, 4), 1 + 2j),
    lambda *_: h5py.Empty("f"),
]


@cache
def _dnd() -> Path:
    """Return a sound benchmark of three images."""
    return make_folder(Path(_temporary().name, "dnd"))[0]


@cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()  # removed with the last reference to it


@contextmanager
def _placed(file: Path, name: str, others: Path | None = None) -> Iterator[Path]:
    """Provide a folder that contains a file under this name, next to sound others."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent, "folder")
        if others is not None:
            shutil.copytree(others, folder)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / name)
        yield folder
