from __future__ import annotations

import numpy as np
import pytest
import torch
from n2b.training.config import METHODS, TrainConfig
from n2b.training.models.noise2blur import DnNet, NENet
from n2b.training.objectives import Batch, build_networks, build_objective
from n2b.training.objectives.noise2blur import Noise2Blur, Noise2BlurUninterrupted
from n2b.training.objectives.noise2void import CELL_PX, REACH_PX, Noise2Void
from n2b.training.objectives.pairs import Noise2Noise, Supervised
from torch import nn
from torch.nn import functional as F


def small_objective() -> tuple[Noise2Blur, nn.Module, nn.Module]:
    torch.manual_seed(0)
    denoiser, extractor = DnNet(down=4, up=8), NENet(maps=4)
    return Noise2Blur(denoiser, extractor), denoiser, extractor


def small_batch() -> Batch:
    return Batch(
        noisy=torch.rand(2, 3, 32, 32), target=torch.rand(2, 3, 32, 32), clean=torch.rand(2, 3, 32, 32)
    )


def has_gradient(network: nn.Module) -> bool:
    return any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in network.parameters())


def test_n2b_loss_reaches_the_extractor_alone_in_the_convergence_stage() -> None:
    objective, denoiser, extractor = small_objective()
    objective.losses(small_batch(), is_initial=False)["n2b"].backward()
    assert has_gradient(extractor)
    assert not has_gradient(denoiser)


def test_n2c_loss_reaches_the_denoiser_alone_in_the_convergence_stage() -> None:
    objective, denoiser, extractor = small_objective()
    objective.losses(small_batch(), is_initial=False)["n2c"].backward()
    assert has_gradient(denoiser)
    assert not has_gradient(extractor)


def test_both_networks_learn_from_n2b_in_the_initial_stage() -> None:
    objective, denoiser, extractor = small_objective()
    losses = objective.losses(small_batch(), is_initial=True)
    assert set(losses) == {"n2b", "residual"}
    losses["n2b"].backward()
    assert has_gradient(denoiser)
    assert has_gradient(extractor)


class Runaway(nn.Module):
    """A network that has gone wrong: its output is huge."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1e6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale


def test_a_denoiser_gone_wrong_does_not_reach_the_extractors_input() -> None:
    _, _, extractor = small_objective()
    losses = Noise2Blur(Runaway(), extractor).losses(small_batch(), is_initial=False)
    assert losses["n2b"] < 2


def test_an_extractor_gone_wrong_does_not_reach_the_denoisers_input() -> None:
    _, denoiser, _ = small_objective()
    losses = Noise2Blur(denoiser, Runaway()).losses(small_batch(), is_initial=False)
    assert losses["n2c"] < 5


def test_the_losses_are_those_of_algorithm_1() -> None:
    objective, denoiser, extractor = small_objective()
    batch = small_batch()
    losses = objective.losses(batch, is_initial=False)
    noise = extractor(batch.noisy - denoiser(batch.noisy).clamp(0, 1))
    assert batch.target is not None
    torch.testing.assert_close(losses["n2b"], F.l1_loss(noise, batch.noisy - batch.target))
    torch.testing.assert_close(
        losses["n2c"], F.l1_loss(denoiser(batch.clean + noise.clamp(-1, 1)), batch.clean)
    )


def test_without_interruption_both_losses_reach_both_networks() -> None:
    _, denoiser, extractor = small_objective()
    objective = Noise2BlurUninterrupted(denoiser, extractor, bounded=False)
    for name in ("n2b", "n2c"):
        objective.losses(small_batch(), is_initial=False)[name].backward()
        assert has_gradient(denoiser)
        assert has_gradient(extractor)
        denoiser.zero_grad()
        extractor.zero_grad()


def test_unbounded_is_the_paper_to_the_letter() -> None:
    _, denoiser, extractor = small_objective()
    objective = Noise2Blur(denoiser, extractor, bounded=False)
    assert set(objective.losses(small_batch(), is_initial=True)) == {"n2b"}
    batch = small_batch()
    noise = extractor(batch.noisy - denoiser(batch.noisy))
    expected = F.l1_loss(denoiser(batch.clean + noise), batch.clean)
    torch.testing.assert_close(objective.losses(batch, is_initial=False)["n2c"], expected)


class Sees(nn.Module):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.inputs.append(x)
        return torch.zeros_like(x)


def drawn(objective: Noise2Blur | Noise2Void, count: int, patch_px: int) -> dict[str, torch.Tensor]:
    values = objective.draw(np.random.default_rng(0), count, patch_px)
    return {name: torch.from_numpy(value) for name, value in values.items()}


def test_turning_the_noise_moves_its_pixels_and_keeps_their_values() -> None:
    denoiser = Sees()
    objective = Noise2Blur(denoiser, nn.Identity(), turn_noise=True)
    batch = small_batch()
    batch = Batch(batch.noisy, torch.zeros_like(batch.clean), batch.target, drawn(objective, 2, 32))
    objective.losses(batch, is_initial=False)
    degraded = denoiser.inputs[-1]  # c = 0 and n̂ = x: it is ñ alone
    assert not torch.equal(degraded, batch.noisy)
    torch.testing.assert_close(degraded.flatten(2).sort().values, batch.noisy.flatten(2).sort().values)


def test_saturated_sums_stay_within_the_range_of_an_image() -> None:
    denoiser = Sees()
    objective = Noise2Blur(denoiser, nn.Identity(), saturate=True)
    batch = small_batch()
    objective.losses(batch, is_initial=False)
    noise = batch.noisy - denoiser(batch.noisy).clamp(0, 1)
    torch.testing.assert_close(denoiser.inputs[1], (batch.clean + noise).clamp(0, 1))
    assert float((batch.clean + noise).max()) > 1


@pytest.mark.parametrize("turn", [False, True])
def test_where_noise_replaces_pixels_the_clean_give_way_to_the_noisy(turn: bool) -> None:
    denoiser = Sees()
    objective = Noise2Blur(denoiser, nn.Identity(), replace=True, turn_noise=turn)
    noisy = torch.full((2, 3, 32, 32), 0.04)  # n̂ is half of it, no noise
    noisy[:, 1, 5:9, 7:20] = 1.0  # of one channel: the pixel is replaced
    batch = Batch(noisy, torch.zeros_like(noisy), torch.rand_like(noisy), drawn(objective, 2, 32))
    objective.losses(batch, is_initial=False)
    is_replaced = (denoiser.inputs[1] != batch.clean).any(1)
    assert is_replaced.sum(dim=(1, 2)).tolist() == [4 * 13, 4 * 13]
    values = denoiser.inputs[1].permute(0, 2, 3, 1)[is_replaced]
    torch.testing.assert_close(values, torch.tensor([0.04, 1.0, 0.04]).expand_as(values))
    assert bool(is_replaced[:, 5:9, 7:20].all()) != turn


def test_shuffled_channels_are_a_permutation() -> None:
    denoiser = Sees()
    objective = Noise2Blur(denoiser, nn.Identity(), shuffle_channels=True)
    noisy = torch.rand(16, 3, 8, 8)
    batch = Batch(noisy, torch.zeros_like(noisy), torch.zeros_like(noisy), drawn(objective, 16, 8))
    objective.losses(batch, is_initial=False)
    degraded = denoiser.inputs[-1]
    order = batch.random["channels"]
    assert len({tuple(row.tolist()) for row in order}) > 2
    for sample in range(16):
        assert torch.equal(degraded[sample], noisy[sample, order[sample]])


def test_supervised_training_compares_with_the_clean_original() -> None:
    batch = small_batch()
    assert batch.target is not None
    losses = Supervised(nn.Identity()).losses(batch, is_initial=False)
    torch.testing.assert_close(losses, {"supervised": F.l1_loss(batch.noisy, batch.target)})


@pytest.mark.parametrize(("seeks_median", "lowest"), [(False, 0.25), (True, 0.0)])
def test_noise2noise_finds_the_mean_or_the_median_of_the_noisy_copies(
    seeks_median: bool, lowest: float
) -> None:
    copies = torch.tensor([0.0, 0.0, 0.0, 1.0])[:, None, None, None].expand(4, 3, 8, 8)

    class Guess(nn.Module):
        def __init__(self, value: float) -> None:
            super().__init__()
            self.value = value

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.full_like(x, self.value)

    batch = Batch(noisy=copies, clean=copies, target=copies)
    losses = {
        value: float(
            Noise2Noise(Guess(value), seeks_median=seeks_median).losses(batch, is_initial=False)["n2n"]
        )
        for value in (0.0, 0.25, 0.5, 1.0)
    }
    assert min(losses, key=lambda value: losses[value]) == lowest


def test_noise2void_shows_neighbours_in_place_of_the_spots_and_judges_the_spots_alone() -> None:
    network = Sees()
    objective = Noise2Void(network)
    noisy = torch.rand(2, 3, 32, 32)
    random = drawn(objective, 2, 32)
    loss = objective.losses(Batch(noisy, noisy, random=random), is_initial=False)["n2v"]
    spot, source = random["spot"], random["source"]
    assert spot.shape == (2, (32 // CELL_PX) ** 2)
    down, right = source // 32 - spot // 32, source % 32 - spot % 32
    assert int(down.abs().max()) == int(right.abs().max()) == REACH_PX
    assert not ((down == 0) & (right == 0)).any()
    masked = network.inputs[0].flatten(2)
    changed = (masked != noisy.flatten(2)).all(dim=1)
    assert changed.sum() == spot.numel()
    for sample in range(2):
        assert torch.equal(masked[sample][:, spot[sample]], noisy[sample].flatten(1)[:, source[sample]])
    expected = torch.stack([noisy[s].flatten(1)[:, spot[s]] for s in range(2)]).square().mean()
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_finite_losses_that_reach_its_networks(method: str) -> None:
    config = TrainConfig(noisy=("x",), noise="gaussian:25", method=method, arch="edge", steps=2)
    networks = build_networks(config)
    objective = build_objective(config, networks)
    random = objective.draw(np.random.default_rng(0), 2, 32)
    batch = small_batch()
    batch = Batch(batch.noisy, batch.clean, batch.target, {n: torch.from_numpy(v) for n, v in random.items()})
    for is_initial in (True, False):
        for network in networks.values():
            network.zero_grad()
        total = torch.stack(list(objective.losses(batch, is_initial=is_initial).values())).sum()
        assert total.isfinite()
        total.backward()
        assert all(has_gradient(network) for network in networks.values())
