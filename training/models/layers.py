"""Layers shared by all networks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEAKY_SLOPE = 0.1


def convolution(inputs: int, outputs: int, *, kernel_px: int = 3) -> nn.Conv2d:
    """Make a convolution that keeps the size, with He et al.'s initial weights and zero bias."""
    conv = nn.Conv2d(inputs, outputs, kernel_px, padding=kernel_px // 2)
    nn.init.kaiming_normal_(conv.weight, a=LEAKY_SLOPE)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv


def activate(x: Tensor) -> Tensor:
    """Apply LeakyReLU 0.1 in place."""
    return F.leaky_relu(x, LEAKY_SLOPE, inplace=True)


def upsample(x: Tensor) -> Tensor:
    """Upsample 2× to the nearest value."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def linear_layer_in_full_precision(conv: nn.Module, x: Tensor) -> Tensor:
    """Apply a layer outside automatic mixed precision: the last one decides the rounding of the result."""
    with torch.autocast(x.device.type, enabled=False):
        return conv(x.to(next(conv.parameters()).dtype))


def at_multiple(network: Callable[[Tensor], Tensor], x: Tensor, multiple_px: int) -> Tensor:
    """Return `network(x)` for a network that takes only multiples of `multiple_px` as H and W.

    The image is padded with its last row and column, and the result cropped to its size.
    """
    height, width = x.shape[-2:]
    bottom, right = -height % multiple_px, -width % multiple_px
    if isinstance(height, int) and (bottom or right):  # a traced size is a multiple already
        return network(F.pad(x, (0, right, 0, bottom), mode="replicate"))[..., :height, :width]
    return network(x)
