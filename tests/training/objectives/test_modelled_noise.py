from __future__ import annotations

import numpy as np
import pytest
import torch
from n2b.training.models.noise2blur import NENet
from n2b.training.noise_model.bank import NoiseBank
from n2b.training.objectives import Batch
from n2b.training.objectives.modelled_noise import ModelledNoise2Blur, likeness_to_detail
from torch import nn

from ..noise_model.models import simple_model

N, S = 4, 32


class Scales(nn.Module):
    """Gives `scale` times what it is given, and keeps it."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.inputs: list[torch.Tensor] = []
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.inputs.append(x.detach())
        return self.scale * x


def objective(denoiser: nn.Module, extractor: nn.Module, **options: object) -> ModelledNoise2Blur:
    bank = NoiseBank(simple_model(10.0), S, seed=0)
    values = {"extracted_share": 0.25, "gain": (1.0, 1.0), "root_mean_square": False, **options}
    return ModelledNoise2Blur(denoiser, extractor, bank=bank, **values)  # type: ignore[arg-type]


def batch(method: ModelledNoise2Blur, noisy: torch.Tensor) -> Batch:
    rng = np.random.default_rng(0)
    random = {name: torch.from_numpy(v) for name, v in method.draw(rng, N, S).items()}
    random["luck"].zero_()
    return Batch(
        noisy=noisy,
        clean=torch.full((N, 3, S, S), 0.5),
        target=torch.full((N, 3, S, S), 0.5),
        image=torch.zeros(N, dtype=torch.int64),
        random=random,
    )


def test_dnnet_learns_on_noise_of_the_level_of_the_model() -> None:
    denoiser = Scales(1.0)
    method = objective(denoiser, NENet(), extracted_share=0.0)
    method.losses(batch(method, torch.full((N, 3, S, S), 0.5)), is_initial=False)
    assert 255 * (denoiser.inputs[-1] - 0.5).std().item() == pytest.approx(10, rel=0.05)


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_extracted_noise_gets_the_level_of_the_model(scale: float) -> None:
    denoiser = Scales(0.0)
    torch.manual_seed(0)
    noisy = scale * 10 / 255 * torch.randn(N, 3, S, S)
    method = objective(denoiser, Scales(1.0), saturate=False)
    method.losses(batch(method, noisy), is_initial=False)
    added = denoiser.inputs[-1][:1] - 0.5
    assert torch.corrcoef(torch.stack([added.flatten(), noisy[:1].flatten()]))[0, 1] > 0.99
    assert 255 * added.std().item() == pytest.approx(10, rel=0.15)


def test_extracted_noise_that_has_faded_is_not_used() -> None:
    denoiser = Scales(0.0)
    method = objective(denoiser, Scales(0.001))
    method.losses(batch(method, 0.04 * torch.randn(N, 3, S, S)), is_initial=False)
    assert 255 * (denoiser.inputs[-1][:1] - 0.5).std().item() == pytest.approx(10, rel=0.1)


def test_a_fading_of_the_extracted_noise_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    method = objective(Scales(0.0), Scales(0.001))
    crops = batch(method, 0.04 * torch.randn(N, 3, S, S))
    for _ in range(450):
        method.losses(crops, is_initial=False)
    assert capsys.readouterr().err.count("of the extracted noise") == 1


def test_noise_is_less_like_the_detail_than_detail_is() -> None:
    torch.manual_seed(0)
    image = torch.rand(N, 3, S, S)
    assert (likeness_to_detail(torch.randn(N, 3, S, S), image) < 0.6).all()
    assert (likeness_to_detail(image - image.mean(dim=(2, 3), keepdim=True), image) > 0.8).all()


def test_the_gradient_of_dnnets_loss_does_not_reach_nenet() -> None:
    extractor = NENet()
    method = objective(Scales(1.0), extractor)
    losses = method.losses(batch(method, torch.rand(N, 3, S, S)), is_initial=False)
    losses["n2c"].backward()
    assert all(parameter.grad is None for parameter in extractor.parameters())
