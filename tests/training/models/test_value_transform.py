from __future__ import annotations

import numpy as np
import pytest
import torch
from n2b.runtime.errors import UserError
from n2b.training.models.value_transform import from_domain, to_domain

LEVELS = torch.arange(256, dtype=torch.float32) / 255


def test_linear_values_stay_as_they_are() -> None:
    x = torch.tensor([-0.5, 0.0, 0.3, 2.0])
    assert torch.equal(to_domain(x, "linear"), x)
    assert torch.equal(from_domain(x, "linear"), x)


def test_log_values_are_those_of_the_equation() -> None:
    # (1 + 255·x) = 256^t: powers of two stand at eighths
    x = torch.tensor([(2**k - 1) / 255 for k in range(9)])
    torch.testing.assert_close(to_domain(x, "log"), torch.arange(9) / 8, atol=1e-6, rtol=0)
    torch.testing.assert_close(from_domain(torch.arange(9) / 8, "log"), x, atol=1e-6, rtol=0)


@pytest.mark.parametrize("count", [1, 7, 64, 1000])  # short and long tensors take different code
def test_black_and_white_are_exact_both_ways(count: int) -> None:
    ends = torch.tensor([0.0, 1.0]).repeat(count)
    assert torch.equal(to_domain(ends, "log"), ends)
    assert torch.equal(from_domain(ends, "log"), ends)


@pytest.mark.parametrize("domain", ["linear", "log"])
def test_the_way_there_and_back_changes_nothing(domain: str) -> None:
    x = torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(from_domain(to_domain(x, domain), domain), x, atol=1e-6, rtol=0)
    t = to_domain(LEVELS, domain)
    assert torch.equal((from_domain(t, domain) * 255).round(), torch.arange(256.0))


@pytest.mark.parametrize("domain", ["linear", "log"])
def test_a_brighter_value_stays_brighter(domain: str) -> None:
    assert (to_domain(LEVELS, domain).diff() > 0).all()
    assert (from_domain(torch.linspace(-0.1, 1.1, 1000), domain).diff() > 0).all()


def test_values_below_black_are_black_in_log() -> None:
    assert torch.equal(to_domain(torch.tensor([-1.0, -1e-9]), "log"), torch.zeros(2))


def test_noise_that_multiplies_adds_in_log_whatever_the_brightness() -> None:
    bright, dark = torch.tensor(200 / 255), torch.tensor(50 / 255)
    steps = [to_domain(1.2 * x, "log") - to_domain(x, "log") for x in (bright, dark)]
    assert steps[0].item() == pytest.approx(steps[1].item(), rel=0.02)
    assert steps[0].item() == pytest.approx(np.log(1.2) / np.log(256), rel=0.01)


def test_gradients_pass_through() -> None:
    x = torch.tensor([0.0, 0.2, 1.0], requires_grad=True)
    from_domain(to_domain(x, "log"), "log").sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.ones(3), atol=1e-5, rtol=0)


def test_an_unknown_domain_is_refused() -> None:
    for transform in (to_domain, from_domain):
        with pytest.raises(UserError, match="unknown domain 'cubic'; known: linear, log"):
            transform(LEVELS, "cubic")
