"""The noise of many cameras: measured in the noisy images of each set, and of cameras that are made up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from n2b.runtime.images.image import read_image
from n2b.runtime.sources import find_images
from n2b.training.noise_model import NoiseModel, estimate_noise
from n2b.training.noise_model.bank import NoiseBank
from n2b.training.noise_model.covariance import tapered, with_unit_rms
from n2b.training.noise_model.model import KNOTS, REACH_PX, knots
from torch import Tensor

_MADE_UP = 32  # cameras
_MIDDLE_KNOT = KNOTS // 2
_NO_NOISE_SHARE, _NO_NOISE_GAIN = 0.08, 0.05  # a clean image has to stay as it is


@dataclass(frozen=True)
class NoiseSet:
    """Noisy images of one camera or microscope.

    Attributes:
        name: a word, the name of the file that keeps its noise model.
        folder: below the data folder, of noisy images.
        prefix: of the names of its images.
        weight: how often its noise is drawn, over that of other sets.
        most_sigma: in grey levels; images with more noise are left out.
        is_kept: the new model has to do on these images what the model does that it starts from.
    """

    name: str
    folder: str
    prefix: str = ""
    weight: float = 1.2
    most_sigma: float = 32.0
    is_kept: bool = False

    def images(self, data: Path, least_px: int) -> list[np.ndarray]:
        """Read the images, uint8 (H, W, 3), that are at least so large."""
        paths = find_images([data / self.folder])
        images = (read_image(path).pixels for path in paths if path.stem.startswith(self.prefix))
        return [
            image if image.shape[2] == 3 else image.repeat(3, axis=2)
            for image in images
            if min(image.shape[:2]) >= least_px
        ]


NOISE_SETS = (
    *(
        NoiseSet(camera, "polyu/noisy", f"{camera}_", weight=2.0, is_kept=True)
        for camera in ("Canon5D2", "Canon600D", "Canon80D", "NikonD800", "Sony")
    ),
    *(
        NoiseSet(f"full_{scene}", "polyu_full/noisy", scene, weight=0.8, is_kept=True)
        for scene in ("bag", "bicyc", "chair", "circu")
    ),
    NoiseSet("renoir", "real/renoir/noisy", weight=2.0),
    NoiseSet("dnd", "real/dnd_crops/noisy"),
    NoiseSet("rni15", "real/rni15/noisy", weight=0.7),
    NoiseSet("phone_night", "real/phone_night/noisy"),
    NoiseSet("w2s", "real/w2s_microscopy/noisy", weight=0.5, most_sigma=99.0),
    NoiseSet("gigadb", "real/gigadb_microscopy/noisy", weight=0.5, most_sigma=99.0),
)


def noise_of_set(one: NoiseSet, data: Path, cache: Path, least_px: int) -> NoiseModel:
    """Return the noise model of a set, which `cache`/NAME.json keeps, without images of too much noise."""
    path = cache / f"{one.name}.json"
    if path.is_file():
        model = NoiseModel.load(path)
    else:
        model = estimate_noise(one.images(data, least_px))
        cache.mkdir(parents=True, exist_ok=True)
        model.save(path)
    return model.of_images(np.flatnonzero(model.image_level[:, _MIDDLE_KNOT] <= one.most_sigma))


def made_up_noise(seed: int) -> NoiseModel:
    """Return noise of cameras that do not exist.

    Its σ is 2 to 25 grey levels, even, rising with brightness, or strongest at middle brightness; it is
    white, blurred by a Gaussian of up to 1.6 px, or both, and in the channels alike by 0 to 0.9.
    """
    rng = np.random.default_rng([seed, 21])
    levels, covariances = [], []
    for _ in range(_MADE_UP):
        covariances.append(_made_up_covariance(rng))
        base = np.exp(rng.uniform(np.log(2), np.log(25)))
        at = knots() / 128
        shapes = (
            np.ones(KNOTS),
            np.sqrt(0.1 + 0.9 * at),
            np.interp(at, [0, 0.3, 1, 2], [0.7, 1.2, 1, 0.7]),
        )
        levels.append(base * shapes[rng.integers(len(shapes))])
    level = np.array(levels)
    covariance = np.array(covariances)
    return NoiseModel(
        level=level.mean(axis=0),
        level_spread=np.zeros(KNOTS),
        image_level=level,
        image_level_spread=np.zeros_like(level),
        source=np.arange(_MADE_UP),
        covariance=covariance,
        tilt=np.zeros_like(covariance[0]),
        middle=128.0,
        half_range=1.0,
        windows=np.ones(_MADE_UP, int),
    )


def _made_up_covariance(rng: np.random.Generator) -> np.ndarray:
    shift = np.arange(-REACH_PX, REACH_PX + 1)
    square = shift[:, None] ** 2 + shift**2
    white = (square == 0).astype(float)
    blur = rng.choice([0, 0, 0.5, 0.8, 1.2, 1.6])
    over_pixels = np.exp(-square / (4 * blur**2)) if blur else white
    if blur and rng.random() < 0.5:
        share = rng.uniform(0.2, 0.7)
        over_pixels = share * over_pixels + (1 - share) * white
    alike = rng.choice([0, 0.3, 0.6, 0.9])
    gain = rng.uniform(0.7, 1.4, 3)
    over_channels = (np.full((3, 3), alike) + (1 - alike) * np.eye(3)) * gain[:, None] * gain
    return with_unit_rms(tapered(over_channels[:, :, None, None] * over_pixels))


class NoiseMixture:
    """Draws the noise of several models over clean crops, each crop of one of them.

    Args:
        models: the noise.
        weights: how often each is drawn; any sum.
        size_px: side of the crops.
        gain: range of a random factor on each crop's noise, evenly in its logarithm.
    """

    def __init__(
        self, models: Sequence[NoiseModel], weights: Sequence[float], size_px: int, gain: tuple[float, float]
    ) -> None:
        self._banks = [NoiseBank(model, size_px, seed=0) for model in models]
        self._shares = np.array(weights) / np.sum(weights)
        self._gain = gain

    def over(self, clean: Tensor, rng: np.random.Generator) -> Tensor:
        """Return noise for crops, float32 N×3×S×S on the scale of images in [0, 1]; hardly any for some."""
        drawn_bank = rng.choice(len(self._banks), size=len(clean), p=self._shares)
        noise = torch.empty_like(clean)
        for number in np.unique(drawn_bank):
            mine = np.flatnonzero(drawn_bank == number)
            bank = self._banks[number]
            drawn = {name: torch.from_numpy(values) for name, values in bank.draw(rng, len(mine)).items()}
            low, high = np.log(self._gain)
            gain = np.exp(rng.uniform(low, high, len(mine))).astype(np.float32)
            gain[rng.random(len(mine)) < _NO_NOISE_SHARE] = _NO_NOISE_GAIN
            noise[mine] = bank.over(clean[mine], drawn) * torch.from_numpy(gain)[:, None, None, None]
        return noise
