"""Show a noise model: its level, its covariance, and synthesised noise next to what was removed."""

from __future__ import annotations

import numpy as np

from ...runtime.images.convert import round_to_uint8
from ..metrics import Curve
from ..noise_model import NoiseModel
from ..noise_model.model import REACH_PX, knots
from ..noise_model.spectrum import fields, filter_of
from .charts import Chart
from .figures import Crop, Figure, Row, on_grey, scale_to_fit

_ENLARGED = 8  # each shift of the covariance as 8×8 px
_ALIKE = 0.05  # images whose levels differ less are one curve
_LUMA = np.array([0.299, 0.587, 0.114])


def level_chart(model: NoiseModel) -> Chart:
    """Return σ against brightness, of all images and of the quietest and the noisiest one."""
    brightness = knots()[:-1].astype(np.int64)
    curves = {"all images": model.level}
    strength = model.image_level.mean(axis=1)
    quietest, noisiest = int(strength.argmin()), int(strength.argmax())
    if strength[noisiest] > (1 + _ALIKE) * strength[quietest]:
        curves |= {"noisiest": model.image_level[noisiest], "quietest": model.image_level[quietest]}
    uncertainty = round(100 * float(model.level_spread[:-1].mean()))
    return Chart(
        "noise-level",
        "Noise level of your images",
        {name: Curve(brightness, values[:-1]) for name, values in curves.items()},
        "σ, grey levels",
        f"The standard deviation of the noise at each brightness, uncertain by about {uncertainty} %.",
        x_label="brightness, grey levels",
    )


def covariance_row(model: NoiseModel) -> Row:
    """Return the correlation of the noise with itself a few pixels away: white 1, grey 0, black −1."""
    mean = model.covariance.mean(axis=0)
    within = np.trace(mean) / 3
    between = (mean.sum(axis=(0, 1)) - np.trace(mean)) / 6
    return Row(
        f"Correlation up to {REACH_PX} px away",
        (Figure("within a channel", _enlarged(within)), Figure("between channels", _enlarged(between))),
    )


def synthesised_row(
    model: NoiseModel, image: int, noisy: np.ndarray, denoised: np.ndarray, crop: Crop
) -> Row:
    """Return what was removed from a flat crop next to noise that the model makes for it.

    Args:
        image: number of the image in the model.
        noisy, denoised: uint8 (H, W, 3).
        crop: a flat part of it, at least 17 px a side.
    """
    x, f = crop.of(noisy), crop.of(denoised)
    removed = x.astype(np.float32) - f
    root = filter_of(model.covariance[model.source[image]], crop.side)
    unit = fields(root, 1, np.random.default_rng(0))[0].transpose(1, 2, 0)
    made = unit * model.level_at(image, f @ _LUMA)[..., None].astype(np.float32)
    scale = scale_to_fit(made)
    figures = (
        Figure("noisy", x),
        Figure(f"removed ×{scale:g}", on_grey(removed, scale)),
        Figure(f"synthesised ×{scale:g}", on_grey(made, scale)),
    )
    return Row("Removed from a flat area, and synthesised", figures)


def _enlarged(correlation: np.ndarray) -> np.ndarray:
    grey = round_to_uint8(127.5 + 127.5 * np.clip(correlation, -1, 1))
    return np.repeat(grey.repeat(_ENLARGED, axis=0).repeat(_ENLARGED, axis=1)[..., None], 3, axis=2)
