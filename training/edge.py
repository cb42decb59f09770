"""EdgeNet, for cameras in real time: a U-Net on a quarter of the positions, a sixth of DnNet's operations."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import activate, at_multiple, convolution, linear_layer_in_full_precision, upsample

SHUFFLE = 2
WIDTHS = (32, 64, 96, 128)  # maps of each level, from half the image's size down


class EdgeNet(nn.Module):
    """A U-Net at half the image's size, whose 3×4 channels are the pixels of 2×2 squares.

    Takes and gives float32 N×3×H×W, about [0, 1], any H, W ≥ 1; like DnNet it predicts the clean image,
    not the noise. Two convolutions a level on the way down, max pooling between them; on the way up a
    1×1 convolution halves what is upsampled, the features of the same level are concatenated, and two
    convolutions follow; the image itself is concatenated before the linear last layer.
    """

    size_multiple_px = SHUFFLE * 2 ** (len(WIDTHS) - 1)
    # One 3×3 convolution at level k reaches 2·2^k px. There are five at level 0 (two down, two up, the last
    # one), four at each level between, two at the lowest. Shuffling, pooling and upsampling can add
    # size_multiple_px − 1 px, by where the pixel lies in its cell.
    receptive_radius_px = (
        SHUFFLE * (5 + sum(4 * 2**k for k in range(1, len(WIDTHS) - 1)) + 2 * 2 ** (len(WIDTHS) - 1))
        + size_multiple_px
        - 1
    )
    default_halo_px = 32

    def __init__(self, channels: int = 3, widths: tuple[int, int, int, int] = WIDTHS) -> None:
        super().__init__()
        squares = channels * SHUFFLE**2
        self.unshuffle = _pixel_unshuffle(channels)
        self.down = nn.ModuleList()
        above = squares
        for width in widths:
            self.down.append(nn.Sequential(convolution(above, width), convolution(width, width)))
            above = width
        self.narrow, self.up = nn.ModuleList(), nn.ModuleList()
        for below, width in zip(widths[:0:-1], widths[-2::-1], strict=True):
            self.narrow.append(convolution(below, width, kernel_px=1))
            self.up.append(nn.Sequential(convolution(2 * width, width), convolution(width, width)))
        self.last = convolution(widths[0] + squares, squares)

    def forward(self, x: Tensor) -> Tensor:
        return at_multiple(self._forward, x, self.size_multiple_px)

    def _forward(self, x: Tensor) -> Tensor:
        squares = self.unshuffle(x)
        h, skips = squares, []
        for level, pair in enumerate(self.down):
            h = F.max_pool2d(h, 2) if level else h
            for conv in pair.children():
                h = activate(conv(h))
            skips.append(h)
        skips.pop()  # the deepest features are h itself
        for narrow, pair in zip(self.narrow, self.up, strict=True):
            h = torch.cat([upsample(narrow(h)), skips.pop()], dim=1)
            for conv in pair.children():
                h = activate(conv(h))
        h = torch.cat([h, squares.to(h.dtype)], dim=1)
        return F.pixel_shuffle(linear_layer_in_full_precision(self.last, h), SHUFFLE)


def _pixel_unshuffle(channels: int) -> nn.Conv2d:
    """F.pixel_unshuffle as a convolution of fixed weights, since ONNX has no operator of its order."""
    squares = channels * SHUFFLE**2
    conv = nn.Conv2d(channels, squares, SHUFFLE, stride=SHUFFLE, bias=False)
    conv.weight = nn.Parameter(torch.eye(squares).view_as(conv.weight), requires_grad=False)
    return conv
