from __future__ import annotations

import pytest
import torch
from n2b.training.networks import STRIDE, DnNet, NENet, count_flops_per_pixel, count_parameters


def test_dnnet_is_the_papers_unet_by_its_parameters_and_operations() -> None:
    network = DnNet()
    assert count_parameters(network) == 991_203  # Noise2Noise, appendix A.1, three channels
    assert count_flops_per_pixel(network) == pytest.approx(2 * 173.9e3, rel=1e-3)


def test_nenet_has_three_convolutions_of_32_maps() -> None:
    weights = [p.shape for p in NENet().parameters() if p.ndim == 4]
    assert weights == [(32, 3, 3, 3), (32, 32, 3, 3), (3, 32, 3, 3)]


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (33, 31), (64, 32), (65, 97)])
def test_any_size_keeps_its_size(size: tuple[int, int]) -> None:
    assert DnNet(down=4, up=8)(torch.rand(2, 3, *size)).shape == (2, 3, *size)


def test_odd_sizes_are_the_crop_of_the_replicated_image() -> None:
    network = DnNet(down=4, up=8).eval()
    x = torch.rand(1, 3, 40, 50)
    whole = torch.nn.functional.pad(x, (0, 14, 0, 24), mode="replicate")
    torch.testing.assert_close(network(x), network(whole)[..., :40, :50])


def test_a_shift_by_the_stride_shifts_the_output() -> None:
    network = DnNet(down=4, up=8).eval()
    x = torch.rand(1, 3, 512, 32)
    shifted = torch.roll(x, STRIDE, dims=2)
    middle = slice(192, 320)
    torch.testing.assert_close(
        network(shifted)[:, :, 192 + STRIDE : 320 + STRIDE], network(x)[:, :, middle], atol=1e-5, rtol=1e-4
    )


def test_no_output_pixel_sees_further_than_the_receptive_radius() -> None:
    network = DnNet(down=4, up=8).double().eval()
    reached = 0
    for row in range(192, 192 + STRIDE, 3):
        x = torch.rand(1, 3, 416, 32, dtype=torch.float64, requires_grad=True)
        network(x)[0, 0, row].sum().backward()
        assert x.grad is not None
        rows = x.grad.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
        reached = max(reached, row - int(rows.min()), int(rows.max()) - row)
    assert STRIDE * 3 < reached <= DnNet.receptive_radius_px


def test_nenet_with_its_skip_starts_near_the_identity() -> None:
    torch.manual_seed(0)
    noise = torch.randn(1, 3, 32, 32) * 0.1
    assert (NENet(skip=True)(noise) - noise).abs().mean() < 0.3 * noise.abs().mean()
    assert (NENet(skip=False)(noise) - noise).abs().mean() > 0.3 * noise.abs().mean()
