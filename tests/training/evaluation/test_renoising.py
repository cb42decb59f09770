from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from n2b.training.evaluation.renoising import Denoise, Renoising
from torch import Tensor
from torch.nn import functional as F

from ..noise_model.models import simple_model
from ..noise_model.scenes import scene

SIGMA = 10.0
CLEAN = [scene(seed, size_px=128) for seed in range(3)]
NOISY = [
    np.rint(np.clip(c + np.random.default_rng(i).normal(0, SIGMA, c.shape), 0, 255)).astype(np.uint8)
    for i, c in enumerate(CLEAN)
]


def blur(sigma: float) -> Denoise:
    """A Gaussian blur."""
    x = torch.arange(-12, 13).float()
    weights = torch.exp(-(x**2) / (2 * sigma**2))
    kernel = (weights[:, None] * weights / weights.sum() ** 2).expand(3, 1, 25, 25)
    return lambda image: F.conv2d(F.pad(image, (12,) * 4, mode="reflect"), kernel, groups=3)


def thresholded(strength: float) -> Denoise:
    """A bilateral filter of a few steps: it smooths and keeps edges."""

    def denoise(image: Tensor) -> Tensor:
        total, weight = image.clone(), torch.ones_like(image[:, :1])
        for down in range(-3, 4):
            for right in range(-3, 4):
                if down or right:
                    moved = torch.roll(image, (down, right), (2, 3))
                    near = torch.exp(-((moved - image).square().sum(1, keepdim=True)) / (2 * strength**2))
                    total, weight = total + near * moved, weight + near
        return total / weight

    return denoise


CANDIDATES: dict[str, Denoise] = {
    "right": thresholded(0.15),
    "blurred": blur(2.0),
    "washed": blur(4.0),
}


def mean_psnr_db(denoise: Denoise) -> float:
    errors = []
    for noisy, clean in zip(NOISY, CLEAN, strict=True):
        x = torch.from_numpy(noisy).permute(2, 0, 1)[None].float() / 255
        y = torch.from_numpy(clean).permute(2, 0, 1)[None] / 255
        errors.append(float((denoise(x).clamp(0, 1) - y).square().mean()))
    return float(-10 * np.log10(np.mean(errors)))


@pytest.fixture(scope="module")
def renoising() -> Renoising:
    return Renoising(NOISY, [0, 1, 2], simple_model(SIGMA, images=3), seed=0)


def test_candidates_rank_as_psnr_ranks_them(renoising: Renoising) -> None:
    outputs = {name: renoising.outputs(denoise) for name, denoise in CANDIDATES.items()}
    scores = renoising.compare(CANDIDATES, outputs).scores
    by_score = sorted(CANDIDATES, key=lambda name: scores[name])
    by_psnr = sorted(CANDIDATES, key=lambda name: mean_psnr_db(CANDIDATES[name]))
    assert by_score == by_psnr


@pytest.mark.parametrize("worse", [blur(4.0), blur(1.0), lambda image: 0.95 * thresholded(0.15)(image)])
def test_a_duel_is_won_by_the_better_one_and_the_input_loses(renoising: Renoising, worse: Denoise) -> None:
    two = {"right": CANDIDATES["right"], "worse": worse}
    scores = renoising.compare(two, {name: renoising.outputs(f) for name, f in two.items()}).scores
    assert scores["right"] > max(scores["worse"], scores["input"])


def test_what_is_removed_is_about_the_noise_or_more_where_detail_goes(renoising: Renoising) -> None:
    two = {name: CANDIDATES[name] for name in ("right", "washed")}
    removed = renoising.compare(two, {name: renoising.outputs(f) for name, f in two.items()}).removed
    assert removed["right"] == pytest.approx(1, abs=0.25)
    assert removed["washed"] > 2


def test_each_image_counts_alike_however_strong_its_noise() -> None:
    """One that is right where noise is weak, in two images, is better than one that is where it is strong."""
    model = simple_model(images=3)
    levels = np.array([30.0, 2.0, 2.0])
    model = replace(model, image_level=np.full_like(model.image_level, 1) * levels[:, None])
    rng = np.random.default_rng(0)
    noisy = [
        np.clip(c + rng.normal(0, s, c.shape), 0, 255).astype(np.uint8)
        for c, s in zip(CLEAN, levels, strict=True)
    ]
    renoising = Renoising(noisy, [0, 1, 2], model, seed=0)
    two = {"weak": thresholded(0.03), "strong": blur(1.0)}
    scores = renoising.compare(two, {name: renoising.outputs(f) for name, f in two.items()}).scores
    assert scores["weak"] > scores["strong"]


def test_at_most_six_images_are_compared_on() -> None:
    crops = [NOISY[0][:40, :40]] * 20
    renoising = Renoising(crops, list(range(20)), simple_model(SIGMA, images=20), seed=0)
    assert renoising.chosen == [0, 4, 8, 11, 15, 19]
    assert len(renoising.outputs(lambda image: image)) == 6
