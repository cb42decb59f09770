from __future__ import annotations

import numpy as np
import pytest
import torch
from n2b.training.data.flat_noise import KNOTS, FlatNoise
from n2b.training.objectives import Batch
from n2b.training.objectives.flat_area import (
    ENOUGH_PATCHES,
    FlatAreaNoise2Blur,
    anchored,
    from_cells,
    into_cells,
)
from torch import nn

N, S = 4, 32


def flat_noise(value: float = 0.02, count: int = ENOUGH_PATCHES) -> FlatNoise:
    """Patches of ±value, of a camera whose noise does not depend on the brightness."""
    signs = torch.ones(count, 3, S, S)
    signs[..., ::2] = -1
    return FlatNoise(
        patches=(value * signs).half(),
        brightness=torch.full((count,), 100.0),
        image=torch.zeros(count, dtype=torch.int64),
        level=torch.full((1, KNOTS), 255 * value),
    )


class Sees(nn.Module):
    """Gives half of what it is given, and keeps it."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[torch.Tensor] = []
        self.scale = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.inputs.append(x)
        return x * self.scale


def objective(flat: FlatNoise | None, **options: object) -> tuple[FlatAreaNoise2Blur, Sees]:
    denoiser = Sees()
    given = {
        "extracted_share": 0.5,
        "anchor": False,
        "gain": (1.0, 1.0),
        "root_mean_square": False,
        **options,
    }
    return FlatAreaNoise2Blur(denoiser, nn.Identity(), flat=flat, **given), denoiser  # type: ignore[arg-type]


def batch_for(trained: FlatAreaNoise2Blur) -> Batch:
    random = trained.draw(np.random.default_rng(0), N, S)
    tensors = {name: torch.from_numpy(values) for name, values in random.items()}
    torch.manual_seed(0)
    return Batch(torch.rand(N, 3, S, S), torch.rand(N, 3, S, S), torch.rand(N, 3, S, S), tensors)


def test_in_the_initial_stage_the_denoiser_learns_from_bare_noise_alone() -> None:
    trained, denoiser = objective(flat_noise())
    batch = batch_for(trained)
    losses = trained.losses(batch, is_initial=True)
    assert set(losses) == {"n2b", "n2c"}
    added = denoiser.inputs[-1] - batch.clean
    torch.testing.assert_close(added.abs(), torch.full_like(added, 0.02), atol=1e-4, rtol=0)
    assert set(trained.draw(np.random.default_rng(0), 50, S)["sign"]) == {-1, 1}


def test_afterwards_half_of_the_crops_have_bare_noise_and_half_the_extracted() -> None:
    trained, denoiser = objective(flat_noise())
    batch = batch_for(trained)
    trained.losses(batch, is_initial=False)
    added = denoiser.inputs[-1] - batch.clean
    torch.testing.assert_close(added[:2].abs(), torch.full_like(added[:2], 0.02), atol=1e-4, rtol=0)
    torch.testing.assert_close(added[2:], batch.noisy[2:] / 2)  # n̂ = x − x/2, and NENet is the identity


def test_the_share_of_the_extracted_is_at_least_one_crop() -> None:
    for share, bare in ((0.1, 3), (0.75, 1), (1.0, 0)):
        trained, denoiser = objective(flat_noise(), extracted_share=share)
        batch = batch_for(trained)
        trained.losses(batch, is_initial=False)
        added = (denoiser.inputs[-1] - batch.clean).abs()
        is_bare = (added - 0.02).abs().amax(dim=(1, 2, 3)) < 1e-4
        assert is_bare.tolist() == [index < bare for index in range(N)]


@pytest.mark.parametrize(("side", "size"), [(16, 16), (32, 16), (40, 16)])
def test_cells_are_cut_row_by_row_and_put_together_again(side: int, size: int) -> None:
    images = torch.rand(2, 3, side, side)
    cells = into_cells(images, size)
    assert cells.shape == (2 * (-(-side // size)) ** 2, 3, size, size)
    assert torch.equal(from_cells(cells, 2)[..., :side, :side], images)
    if side == 32:
        assert torch.equal(cells[5], images[1, :, :16, 16:])


def test_crops_larger_than_a_patch_take_several_of_one_image() -> None:
    count, flat = ENOUGH_PATCHES, flat_noise()
    image = torch.arange(count) // (count // 2)
    trained, denoiser = objective(FlatNoise(flat.patches, flat.brightness, image, flat.level.repeat(2, 1)))
    random = trained.draw(np.random.default_rng(0), N, 2 * S)
    assert random["flat"].shape == (N, 4)
    images = random["flat"] // (count // 2)
    assert (images == images[:, :1]).all()
    assert len(np.unique(random["flat"])) > 2 * N
    tensors = {name: torch.from_numpy(values) for name, values in random.items()}
    clean = torch.rand(N, 3, 2 * S, 2 * S)
    trained.losses(Batch(clean, clean, clean, tensors), is_initial=True)
    added = denoiser.inputs[-1] - clean
    torch.testing.assert_close(added.abs(), torch.full_like(added, 0.02), atol=1e-4, rtol=0)


def test_few_patches_serve_for_few_crops() -> None:
    for count, bare in ((ENOUGH_PATCHES // 2, 1), (2, 0)):
        trained, denoiser = objective(flat_noise(count=count))
        batch = batch_for(trained)
        trained.losses(batch, is_initial=False)
        added = (denoiser.inputs[-1] - batch.clean).abs()
        is_bare = (added - 0.02).abs().amax(dim=(1, 2, 3)) < 1e-4
        assert int(is_bare.sum()) == bare


def test_a_saturated_crop_with_noise_stays_within_the_range_of_an_image() -> None:
    trained, denoiser = objective(flat_noise(0.2), saturate=True)
    batch = batch_for(trained)
    for is_initial in (True, False):
        trained.losses(batch, is_initial=is_initial)
        degraded = denoiser.inputs[-1]
        assert float(degraded.min()) == 0
        assert float(degraded.max()) == 1
    bare = batch.clean + trained._bare_noise(batch)
    torch.testing.assert_close(degraded[:2], bare[:2].clamp(0, 1))


def test_without_flat_areas_it_is_noise2blur() -> None:
    trained, denoiser = objective(None)
    batch = batch_for(trained)
    assert set(trained.losses(batch, is_initial=True)) == {"n2b", "residual"}
    trained.losses(batch, is_initial=False)
    torch.testing.assert_close(denoiser.inputs[-1], batch.clean + batch.noisy / 2)


def test_the_gain_varies_what_is_added() -> None:
    trained, denoiser = objective(flat_noise(), gain=(0.5, 2.5))
    batch = batch_for(trained)
    trained.losses(batch, is_initial=True)
    strength = (denoiser.inputs[-1] - batch.clean).abs().mean(dim=(1, 2, 3)) / 0.02
    torch.testing.assert_close(strength, batch.random["gain"], rtol=0.01, atol=0)
    assert float(batch.random["gain"].min()) >= 0.5
    assert float(batch.random["gain"].max()) <= 2.5


def test_the_root_mean_square_is_of_each_crop() -> None:
    trained, _ = objective(flat_noise(), root_mean_square=True)
    batch = batch_for(trained)
    loss = trained.losses(batch, is_initial=True)["n2c"]
    degraded = batch.clean + trained._bare_noise(batch)
    error = degraded / 2 - batch.clean
    expected = torch.stack([e.square().mean().sqrt() for e in error]).mean()
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=0)


@pytest.mark.parametrize(("present", "factor"), [(0.5, 2.0), (1.0, 1.0), (0.01, 3.0), (10.0, 0.5)])
def test_the_anchor_brings_the_noise_to_that_of_the_flattest_blocks(present: float, factor: float) -> None:
    torch.manual_seed(0)
    bare = 0.02 * torch.randn(3, 3, 64, 64)
    detail_and_noise = bare.clone()
    detail_and_noise[:, :, 32:] += torch.rand(3, 3, 32, 64)  # detail in the lower half
    extracted = present * bare
    torch.testing.assert_close(anchored(extracted, detail_and_noise), factor * extracted, rtol=0.1, atol=1e-6)
