"""Convolutions that are learned as the product of two, and used as one."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import LEAKY_SLOPE

EXPANSION = 4


class ExpandedConvolution(nn.Module):
    """A 3×3 convolution whose weights are a product: `expansion` times as many 3×3 maps, mixed by a 1×1.

    Without anything between them the two are one convolution, and cost as one: the weights are
    multiplied, not the images. But gradient descent goes another way through the factors, and a small
    network learns faster and further (collapsible linear blocks: Bhardwaj et al., "Collapsible Linear
    Blocks for Super-Efficient Super Resolution", 2022). `folded` gives the one convolution.

    Takes and gives N×C×H×W of the same H and W. The first weights have the variance of He et al.
    """

    def __init__(self, inputs: int, outputs: int, *, expansion: int = EXPANSION) -> None:
        super().__init__()
        wide = expansion * outputs
        self.maps = nn.Parameter(torch.empty(wide, inputs, 3, 3))
        self.mix = nn.Parameter(torch.empty(outputs, wide))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.kaiming_normal_(self.maps, a=LEAKY_SLOPE)
        nn.init.normal_(self.mix, std=wide**-0.5)

    @property
    def weight(self) -> Tensor:
        """Return the weight of the one convolution, (outputs, inputs, 3, 3), in full precision."""
        with torch.autocast(self.mix.device.type, enabled=False):
            product = self.mix @ self.maps.flatten(1)
        weight = product.view(len(self.mix), *self.maps.shape[1:])
        return weight.contiguous(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, padding=1)

    def folded(self) -> nn.Conv2d:
        """Return the same as a plain convolution."""
        outputs, inputs = len(self.mix), self.maps.shape[1]
        conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        with torch.no_grad():
            conv.weight.copy_(self.weight)
            conv.bias.copy_(self.bias)  # type: ignore[union-attr] — it has one
        return conv


def fold(network: nn.Module) -> nn.Module:
    """Replace all expanded convolutions by plain ones, in place, and return the network."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, ExpandedConvolution):
                setattr(module, name, child.folded())  # of a ModuleList and a Sequential too
    return network
