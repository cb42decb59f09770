"""The layout of Noise2Noise's U-Net (Lehtinen et al., 2018, appendix A.1), of any depth and widths."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .collapsible import ExpandedConvolution
from .layers import activate, convolution, linear_layer_in_full_precision, upsample


def receptive_radius_px(poolings: int) -> int:
    """Return the receptive radius: the largest distance of an input pixel that a result depends on.

    One 3×3 convolution at level k reaches 2^k px. Down: 2 at level 0, then one a level; up: 2 a level, 3
    at level 0. Pooling and upsampling can add 2^poolings − 1 px, by where the pixel lies in its cell.
    """
    down = 2 + sum(2**k for k in range(1, poolings + 1))
    up = sum(2 * 2**k for k in range(1, poolings)) + 3
    return down + up + 2**poolings - 1


class UNet(nn.Module):
    """Takes float32 N×inputs×H×W, H and W multiples of 2^poolings, and gives N×outputs×H×W.

    Max pooling, nearest upsampling, the pooled features and the input concatenated on the way up,
    LeakyReLU 0.1, linear last layer.

    Args:
        down: maps of every convolution on the way down.
        up: maps on the way up, two convolutions a level.
        top: maps of the two convolutions before the last one, at the full size.
        layer: makes a 3×3 convolution from one number of maps to another.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        poolings: int,
        down: int,
        up: int,
        top: tuple[int, int],
        layer: Callable[[int, int], nn.Conv2d | ExpandedConvolution] = convolution,
    ) -> None:
        super().__init__()
        self.first = layer(inputs, down)
        self.down = nn.ModuleList(layer(down, down) for _ in range(poolings + 1))
        self.up = nn.ModuleList()
        below = down
        for _ in range(poolings - 1):
            self.up.append(nn.Sequential(layer(below + down, up), layer(up, up)))
            below = up
        self.top = nn.ModuleList([layer(below + inputs, top[0]), layer(*top)])
        self.last = layer(top[1], outputs)

    def forward(self, x: Tensor) -> Tensor:
        skips = [x]
        h = activate(self.first(x))
        for conv in self.down[:-1]:
            h = F.max_pool2d(activate(conv(h)), 2)
            skips.append(h)
        h = activate(self.down[-1](h))
        skips.pop()  # the deepest features are h itself
        for pair in self.up:
            h = torch.cat([upsample(h), skips.pop()], dim=1)
            for conv in pair.children():
                h = activate(conv(h))
        h = torch.cat([upsample(h), skips.pop().to(h.dtype)], dim=1)
        for conv in self.top:
            h = activate(conv(h))
        return linear_layer_in_full_precision(self.last, h)
