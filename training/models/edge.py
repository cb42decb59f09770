"""EdgeNet, for cameras in real time: a U-Net on a quarter of the positions, a sixth of DnNet's operations."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .collapsible import ExpandedConvolution
from .layers import at_multiple, linear_layer_in_full_precision
from .unet import UNet, receptive_radius_px

SHUFFLE = 2  # px: the side of the squares whose pixels become channels
POOLINGS = 4
STRIDE = SHUFFLE * 2**POOLINGS
PATH_SPREAD = 0.02  # standard deviation of the linear path's first weights


class EdgeNet(nn.Module):
    """DnNet's layout at half the image's size, on the 3×4 channels that the pixels of 2×2 squares are.

    Takes and gives float32 N×3×H×W, about [0, 1], any H, W ≥ 1; like DnNet it predicts the clean image,
    not the noise. 32 maps going down, 48 going up, then twice 64 where the result is made, which pays
    most: multiples of 16, as the matrix units of a GPU want them. Its convolutions are learned as products
    (see collapsible.py), which so small a network needs.

    A 3×3 convolution of the input is added to the result, in full precision: what is sharp then need not
    be coded in 32 maps, and weak noise is removed without harm to detail. It is no residual x + f(x): its
    weights are learned from near 0, so that the network does not begin as the identity, in which
    Noise2Blur gets stuck.
    """

    size_multiple_px = STRIDE
    # The furthest pixel lies at the far side of its square, as seen from the near side of one's own.
    receptive_radius_px = SHUFFLE * receptive_radius_px(POOLINGS) + SHUFFLE - 1
    default_halo_px = 96  # its deepest layers count more than DnNet's: docs/inference.md

    def __init__(self, channels: int = 3, down: int = 32, up: int = 48, top: int = 64) -> None:
        super().__init__()
        squares = channels * SHUFFLE**2
        self.unshuffle = _pixel_unshuffle(channels)
        self.unet = UNet(
            squares,
            squares,
            poolings=POOLINGS,
            down=down,
            up=up,
            top=(top, top),
            layer=ExpandedConvolution,
        )
        self.path = nn.Conv2d(squares, squares, 3, padding=1, bias=False)
        nn.init.normal_(self.path.weight, std=PATH_SPREAD)

    def forward(self, x: Tensor) -> Tensor:
        return at_multiple(self._forward, x, STRIDE)

    def _forward(self, x: Tensor) -> Tensor:
        squares = linear_layer_in_full_precision(self.unshuffle, x)
        result = self.unet(squares) + linear_layer_in_full_precision(self.path, squares)
        return F.pixel_shuffle(result, SHUFFLE)


def _pixel_unshuffle(channels: int) -> nn.Conv2d:
    """Return F.pixel_unshuffle as a convolution of fixed weights, since ONNX has no operator of its order."""
    squares = channels * SHUFFLE**2
    conv = nn.Conv2d(channels, squares, SHUFFLE, stride=SHUFFLE, bias=False)
    conv.weight = nn.Parameter(torch.eye(squares).view_as(conv.weight), requires_grad=False)
    return conv
