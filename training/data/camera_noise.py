"""The noise model of a run's noisy images: estimated once, and kept in the run's folder."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from ...runtime.errors import ModelError
from ..noise_model import NoiseModel, estimate_noise
from ..spacing import evenly_spaced
from .image_pool import ImagePool

_logger = logging.getLogger(__name__)

NOISE_MODEL_NAME = "noise.json"
MAX_MODELLED = 128  # images; of more, evenly spaced ones speak for their neighbours
_UNSURE = 0.25  # spread of ln σ, from which on the level is called uncertain


def model_noise(noisy: ImagePool, run: Path, seed: int) -> NoiseModel:
    """Return the noise model of all images of a pool; read from `run`/noise.json if it is there.

    Args:
        noisy: noisy images, in the first three channels.
        run: folder of the run, where the model is saved.
        seed: of the synthesised noise that the estimate is corrected by.

    Raises:
        UserError: the folder cannot be written.
    """
    path = run / NOISE_MODEL_NAME
    if path.is_file():
        try:
            model = NoiseModel.load(path)
            if len(model.source) == len(noisy):
                return model
        except ModelError as error:
            _logger.warning(f"{error}; it is estimated again")
    chosen = evenly_spaced(len(noisy), MAX_MODELLED)
    model = estimate_noise((noisy.image(index)[..., :3] for index in chosen), seed=seed)
    model = _for_all(model, chosen, len(noisy))
    _report(model)
    model.save(path)
    return NoiseModel.load(path)  # rounded: a run that is resumed continues with the same


def _for_all(model: NoiseModel, chosen: list[int], count: int) -> NoiseModel:
    """Return a model of `count` images, each like the nearest of those `chosen`."""
    nearest = np.abs(np.arange(count)[:, None] - np.array(chosen)).argmin(axis=1)
    return model.of_images(nearest)


def _report(model: NoiseModel) -> None:
    middle = len(model.level) // 2
    levels = model.image_level[:, middle]
    low, high = levels.min(), levels.max()
    span = f"{low:.1f}" if high - low < 0.1 else f"{low:.1f} to {high:.1f}"
    _logger.info(
        f"noise of the images: σ {span} grey levels at middle brightness; "
        f"{model.windows.sum()} flat areas of 32 px in {(model.windows > 0).sum()} of {len(levels)} images"
    )
    if model.level_spread[middle] > _UNSURE:
        _logger.warning(
            "the noise level is uncertain: the images hold few flat areas; an image of a wall or of paper by "
            "the same camera helps"
        )
