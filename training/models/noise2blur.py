"""The two networks of Noise2Blur: DnNet, which is kept, and NENet, which only trains it."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from .collapsible import fold
from .layers import activate, at_multiple, convolution, linear_layer_in_full_precision
from .unet import UNet, receptive_radius_px

POOLINGS = 5
STRIDE = 2**POOLINGS  # px: sizes are padded to a multiple of this, and a shift by it shifts the output


class DnNet(UNet):
    """The paper's denoiser: Noise2Noise's U-Net.

    Takes and gives float32 N×3×H×W, about [0, 1], any H, W ≥ 1; it predicts the clean image, not the
    noise. 48 maps going down, 96 going up, then 64 and 32.
    """

    size_multiple_px = STRIDE
    receptive_radius_px = receptive_radius_px(POOLINGS)
    default_halo_px = 48  # what it costs: docs/inference.md

    def __init__(self, channels: int = 3, down: int = 48, up: int = 96) -> None:
        super().__init__(channels, channels, poolings=POOLINGS, down=down, up=up, top=(64, 32))

    def forward(self, x: Tensor) -> Tensor:
        return at_multiple(super().forward, x, STRIDE)


class NENet(nn.Module):
    """The paper's noise extractor: three 3×3 convolutions, 32 maps between them.

    Takes and gives a noise map, float32 N×3×H×W, zero mean, on the scale of images in [0, 1].

    Args:
        skip: ñ = n̂ + convs(n̂), started near the identity; trains 0.3–0.5 dB better than the plain
            three convolutions of the paper, which `skip=False` gives.
    """

    def __init__(self, channels: int = 3, maps: int = 32, *, skip: bool = True) -> None:
        super().__init__()
        last = convolution(maps, channels)
        self.convs = nn.ModuleList([convolution(channels, maps), convolution(maps, maps), last])
        self.skip = skip
        if skip:
            with torch.no_grad():
                last.weight.mul_(0.1)

    def forward(self, noise: Tensor) -> Tensor:
        first, second, last = self.convs
        h = activate(second(activate(first(noise))))
        extracted = linear_layer_in_full_precision(last, h)
        return noise + extracted if self.skip else extracted


def count_parameters(network: nn.Module) -> int:
    """Count the weights and biases, fixed ones too, expanded convolutions after folding."""
    network = fold(copy.deepcopy(network))
    return sum(parameter.numel() for parameter in network.parameters())


def count_flops_per_pixel(network: nn.Module, *, size_px: int = STRIDE) -> int:
    """Count the floating-point operations per pixel of the convolutions (multiply and add counted as two)."""
    total = 0
    network = fold(copy.deepcopy(network))

    def count(conv: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(conv, nn.Conv2d)
        positions = output.shape[-2] * output.shape[-1]
        nonlocal total
        total += 2 * positions * conv.weight.numel()

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        parameter = next(network.parameters())
        network(torch.zeros(1, 3, size_px, size_px, dtype=parameter.dtype, device=parameter.device))
    for hook in hooks:
        hook.remove()
    return round(total / size_px**2)
