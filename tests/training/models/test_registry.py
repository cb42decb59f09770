"""Every architecture keeps to the same rules, whatever its layers."""

from __future__ import annotations

import pytest
import torch
from n2b.runtime.errors import UserError
from n2b.training.models.dncnn import DnCnn
from n2b.training.models.edge import EdgeNet
from n2b.training.models.noise2blur import DnNet
from n2b.training.models.registry import DENOISERS, build_denoiser
from torch import nn

NARROW = {
    "unet": lambda: DnNet(down=4, up=8),
    "edge": lambda: EdgeNet(down=4, up=8, top=8),
    "dncnn": lambda: DnCnn(maps=4),
}
every_architecture = pytest.mark.parametrize("arch", DENOISERS)


@every_architecture
def test_a_name_gives_its_network(arch: str) -> None:
    assert type(build_denoiser(arch)) is DENOISERS[arch]


def test_an_unknown_name_is_refused_with_those_known() -> None:
    with pytest.raises(UserError, match="unknown architecture 'resnet'; known: unet, edge, dncnn"):
        build_denoiser("resnet")


@every_architecture
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (33, 31), (64, 32), (65, 97)])
def test_any_size_keeps_its_size(arch: str, size: tuple[int, int]) -> None:
    assert NARROW[arch]()(torch.rand(2, 3, *size)).shape == (2, 3, *size)


@every_architecture
def test_odd_sizes_are_the_crop_of_the_replicated_image(arch: str) -> None:
    network, multiple = NARROW[arch](), DENOISERS[arch].size_multiple_px
    x = torch.rand(1, 3, 40, 50)
    whole = nn.functional.pad(x, (0, -50 % multiple, 0, -40 % multiple), mode="replicate")
    torch.testing.assert_close(network(x), network(whole)[..., :40, :50])


@every_architecture
def test_a_shift_by_the_size_multiple_shifts_the_output(arch: str) -> None:
    network, shift = NARROW[arch](), DENOISERS[arch].size_multiple_px
    x = torch.rand(1, 3, 512, 32)
    shifted = network(torch.roll(x, shift, dims=2))[:, :, 192 + shift : 320 + shift]
    torch.testing.assert_close(shifted, network(x)[:, :, 192:320], atol=1e-5, rtol=1e-4)


@every_architecture
def test_the_receptive_radius_is_exact(arch: str) -> None:
    """NaN in one input row spoils just the output rows that see it, at the furthest those a radius away."""
    network, denoiser = NARROW[arch]().double(), DENOISERS[arch]
    middle = 192
    reached = []
    for row in (middle, middle + denoiser.size_multiple_px - 1):  # from there the others are nearer
        x = torch.rand(1, 3, 2 * middle + 32, 4, dtype=torch.float64)
        x[:, :, row] = torch.nan
        with torch.no_grad():
            spoilt = network(x).isnan().sum(dim=(0, 1, 3)).nonzero().flatten()
        reached += [row - int(spoilt.min()), int(spoilt.max()) - row]
    assert max(reached) == denoiser.receptive_radius_px


@every_architecture
def test_no_statistics_of_the_batch_enter_the_result(arch: str) -> None:
    """Batch normalisation would: Noise2Blur does not work with it."""
    network = NARROW[arch]().train()
    x = torch.rand(3, 3, 32, 32)
    torch.testing.assert_close(network(x)[:1], network(x[:1]))


@every_architecture
def test_the_result_is_in_full_precision_under_mixed_precision(arch: str) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert NARROW[arch]()(torch.rand(1, 3, 32, 32)).dtype == torch.float32
