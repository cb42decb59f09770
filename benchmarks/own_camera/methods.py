"""The denoisers that are compared: bundled, classical, and trained on the noisy images themselves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from n2b.runtime import Denoiser
from n2b.runtime.errors import MissingPackageError, UserError
from n2b.runtime.images.image import Image, read_image, write_image

from ..baselines.bm3d import bm3d
from ..paper.train import n2b_train
from ..subprocesses import Usage, run_logged
from .networks import Denoise, network_denoiser, on_three_channels, tiled
from .sets import PairFiles, RealSet

NamedDenoise = Callable[[str, np.ndarray], np.ndarray]  # name of an image, and its pixels

CAMERA, BM3D, BM3D_COARSE, NOISE2VOID, OWN = "camera", "bm3d", "bm3d-coarse", "n2v", "n2b"
UNTRAINED = (CAMERA, BM3D, BM3D_COARSE)

_BM3D_HALO_PX = 32
_JOB = Path(__file__).with_name("careamics_job.py")
_ONE_CORE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Settings:
    """Settings of the whole grid.

    Attributes:
        data: the data folder.
        clean: clean photographs for n2b-train.
        out: folder of the cells and runs.
        seed: chooses the images to train on, and seeds the training.
        careamics_python: a Python that has CAREamics; None: no Noise2Void.
        variants: method, e.g. "n2b-edge" → more options of n2b-train, e.g. ("--arch", "edge").
    """

    data: Path
    clean: tuple[Path, ...]
    out: Path
    seed: int = 0
    careamics_python: Path | None = None
    variants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Training:
    """A training to do.

    Attributes:
        real: the set, all of which is denoised.
        images: the noisy images to train on.
        minutes: how long.
        run: folder of the run.
    """

    real: RealSet
    images: tuple[PairFiles, ...]
    minutes: float
    run: Path


@dataclass(frozen=True)
class Trained:
    """A trained denoiser, by the names of the images; and the time its training took."""

    denoise: NamedDenoise
    usage: Usage
    facts: dict[str, object]


def method_names(settings: Settings) -> list[str]:
    """Return the methods that there are, in the order of the table."""
    return [*UNTRAINED, NOISE2VOID, OWN, *settings.variants]


def untrained_denoiser(method: str) -> Denoise:
    """Return the bundled model `camera`, or BM3D with σ estimated on each image, or on its half size.

    Raises:
        MissingPackageError: BM3D, or what estimates its σ, is not installed.
    """
    if method == CAMERA:
        return on_three_channels(Denoiser("camera", backend="onnxruntime", device="cpu"))
    return partial(_blind_bm3d, is_coarse=method == BM3D_COARSE)


def train(method: str, training: Training, settings: Settings) -> Trained:
    """Train on one core with a method of `method_names`.

    Raises:
        EnvironmentFault: the training failed.
        UserError: Noise2Void, but no Python that has CAREamics.
    """
    training.run.parent.mkdir(parents=True, exist_ok=True)
    if method == NOISE2VOID:
        return _train_careamics(training, settings)
    return _train_own(training, settings, settings.variants.get(method, ()))


def noise_sigma(image: np.ndarray, *, is_coarse: bool) -> float:
    """Estimate σ of white noise by the wavelets of scikit-image, in grey levels; the mean of the channels.

    A camera's JPEG files hold next to no noise of the highest frequencies, which are what is looked at.
    `is_coarse` looks at the image at half size instead, where white noise is half as strong.
    """
    try:
        from skimage.restoration import estimate_sigma

        values = image.astype(np.float64)
        if is_coarse:
            height, width = (size // 2 for size in image.shape[:2])
            cells = values[: 2 * height, : 2 * width].reshape(height, 2, width, 2, -1)
            values = 2 * cells.mean(axis=(1, 3))
        return float(estimate_sigma(values, channel_axis=2, average_sigmas=True))  # type: ignore[arg-type]
    except ImportError as error:
        raise MissingPackageError("PyWavelets") from error


def _blind_bm3d(image: np.ndarray, *, is_coarse: bool) -> np.ndarray:
    """Denoise by BM3D, colours in the opponent space of its package."""
    sigma = noise_sigma(image, is_coarse=is_coarse)
    is_grey = image.shape[2] == 1

    def denoise(tile: np.ndarray) -> np.ndarray:
        return bm3d(np.ascontiguousarray(tile[..., 0] if is_grey else tile), sigma).reshape(tile.shape)

    return tiled(denoise, halo_px=_BM3D_HALO_PX)(image)


def _train_own(training: Training, settings: Settings, more: tuple[str, ...]) -> Trained:
    from n2b.training.checkpoint import load_denoiser

    run = training.run
    if (run / "config.json").is_file():
        options = ["--resume", "--out", str(run)]
    else:
        options = ["--noisy", *(str(files.noisy) for files in training.images)]
        options += ["--clean", *(str(folder.resolve()) for folder in settings.clean)]
        options += ["--minutes", f"{training.minutes:g}", "--seed", str(settings.seed), "--device", "cpu"]
        options += ["--keep-snapshots"]
        options += ["--out", str(run), *more]
    # in the folder of the grid: n2b-train keeps runs/latest and its labels where it is called
    log = run.with_name(f"{run.name}.log")
    usage = run_logged(n2b_train(options), log=log, cwd=settings.out, environment=_ONE_CORE)
    denoise = network_denoiser(run)
    facts: dict[str, object] = {"options": list(more), "steps": load_denoiser(run)[1].trained.get("steps")}
    return Trained(lambda _, noisy: denoise(noisy), usage, facts)


def _train_careamics(training: Training, settings: Settings) -> Trained:
    if settings.careamics_python is None:
        raise UserError("n2v needs --careamics-python, the Python of an environment with careamics")
    run = training.run
    shutil.rmtree(run, ignore_errors=True)  # it cannot be resumed
    noisy, denoised = run / "noisy", run / "denoised"
    for pair in training.real.pairs():
        write_image(noisy / f"{pair.name}.png", Image(pair.noisy))
    scored = sorted(noisy.glob("*.png"))
    trained_on = [noisy / f"{files.name}.png" for files in training.images]
    for files, path in zip(training.images, trained_on, strict=True):
        if not path.exists():  # its reference is unusable, the noisy image is not
            write_image(path, Image(training.real.read(files.noisy)))
    job = {
        "train": [str(path.resolve()) for path in trained_on],
        "denoise": [str(path.resolve()) for path in scored],
        "out": str(denoised.resolve()),
        "minutes": training.minutes,
        "seed": settings.seed,
    }
    (run / "job.json").write_text(json.dumps(job, indent=2))
    command = [str(settings.careamics_python), "-P", str(_JOB), str((run / "job.json").resolve())]
    log, environment = run.with_name(f"{run.name}.log"), {**_ONE_CORE, "PYTHONPATH": ""}
    usage = run_logged(command, log=log, cwd=run, environment=environment)
    facts = json.loads((run / "facts.json").read_text())

    return Trained(lambda name, _: read_image(denoised / f"{name}.png").pixels, usage, facts)
