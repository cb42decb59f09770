"""Training methods behind one interface. Imports: config, models, data.flat_noise."""

from __future__ import annotations

from torch import nn

from ..config import TrainConfig
from ..data.flat_noise import FlatNoise
from ..models.noise2blur import NENet
from ..noise_model.bank import NoiseBank
from .base import Batch, Objective
from .flat_area import FlatAreaNoise2Blur
from .modelled_noise import ModelledNoise2Blur
from .noise2blur import Noise2Blur, Noise2BlurUninterrupted
from .noise2void import Noise2Void
from .pairs import Noise2Noise, Supervised

__all__ = ["Batch", "Objective", "build_networks", "build_objective"]

# noises that move the mean of a pixel and, where they hit less than half of the pixels, not the median
_MEDIAN_KEEPING = ("text", "saltpepper")


def build_networks(config: TrainConfig) -> dict[str, nn.Module]:
    """Build the networks that the method trains: "denoiser", and "extractor" for Noise2Blur."""
    from ..models.registry import build_denoiser

    networks = {"denoiser": build_denoiser(config.arch)}
    if config.has_labels:
        networks["extractor"] = NENet(skip=config.nenet_skip)
    return networks


def build_objective(
    config: TrainConfig,
    networks: dict[str, nn.Module],
    flat: FlatNoise | None = None,
    bank: NoiseBank | None = None,
) -> Objective:
    """Return the method of the configuration, over networks of `build_networks`.

    Args:
        flat: noise of flat areas, for `config.flat_noise`.
        bank: synthesised noise, for `config.noise_model`; crops have its size.
    """
    denoiser = networks["denoiser"]
    if config.method == "supervised":
        return Supervised(denoiser)
    if config.method == "n2n":
        return Noise2Noise(denoiser, seeks_median=(config.noise or "").startswith(_MEDIAN_KEEPING))
    if config.method == "n2v":
        return Noise2Void(denoiser)
    extractor = networks["extractor"]
    transforms = {name: getattr(config, name) for name in ("turn_noise", "shuffle_channels", "saturate")}
    if bank is not None and config.method == "n2b":
        return ModelledNoise2Blur(
            denoiser,
            extractor,
            bank=bank,
            extracted_share=config.extracted_share,
            gain=config.noise_gain or (1.0, 1.0),
            root_mean_square=config.loss == "rms",
            saturate=config.saturate,
        )
    if config.is_extended:
        return FlatAreaNoise2Blur(
            denoiser,
            extractor,
            flat=flat,
            extracted_share=config.extracted_share,
            anchor=config.anchor,
            gain=config.noise_gain or (1.0, 1.0),
            root_mean_square=config.loss == "rms",
            **transforms,
        )
    kind = Noise2Blur if config.method == "n2b" else Noise2BlurUninterrupted
    return kind(denoiser, extractor, bounded=config.bounded, replace=config.replace, **transforms)
