"""DnCNN (Zhang et al., 2017), the usual baseline of later denoisers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import convolution, linear_layer_in_full_precision

LAYERS = 17  # the paper's depth for one noise level; it takes 20 for blind denoising
MAPS = 64


class DnCnn(nn.Module):
    """3×3 convolutions of 64 maps with ReLU between them, which predict the noise: x − f(x).

    Takes and gives float32 N×3×H×W, about [0, 1], any H, W ≥ 1.

    The residual is part of its definition and suits the methods whose target is an image: supervised
    training, Noise2Noise. With Noise2Blur it falls into the identity, f = 0, where the extracted noise
    is 0 too and neither loss leads away.

    Without the paper's batch normalisation: Noise2Blur's two stages feed the network images of
    different statistics, and it costs them decibels; an exported graph is also simpler without. The last
    layer begins small instead, so that training begins near the identity.
    """

    size_multiple_px = 1
    receptive_radius_px = LAYERS  # one px a layer
    default_halo_px = LAYERS  # exact: the whole radius costs little

    def __init__(self, channels: int = 3, maps: int = MAPS) -> None:
        super().__init__()
        self.first = convolution(channels, maps)
        self.middle = nn.ModuleList(convolution(maps, maps) for _ in range(LAYERS - 2))
        self.last = convolution(maps, channels)
        with torch.no_grad():
            self.last.weight.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.first(x), inplace=True)
        for conv in self.middle:
            h = F.relu(conv(h), inplace=True)
        return x - linear_layer_in_full_precision(self.last, h)
