from __future__ import annotations

import numpy as np
import pytest
from n2b.export.verify import test_images
from n2b.export.verify.test_images import noisy_images


@pytest.fixture(autouse=True, params=["photographs", "synthetic"])
def origin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "synthetic":
        monkeypatch.setattr(test_images, "sample_photographs", list)
    elif not test_images.sample_photographs():
        pytest.skip("scikit-image, which has the photographs, is not installed")
    return request.param


def test_images_are_the_same_each_time_and_differ_from_each_other(origin: str) -> None:
    first, again = noisy_images(64, 96), noisy_images(64, 96)
    np.testing.assert_array_equal(first.noisy, again.noisy)
    assert first.noisy.shape == (3, 64, 96, 3)
    assert first.noisy.dtype == np.float32
    assert 0 <= first.noisy.min() < first.noisy.max() <= 1
    assert np.abs(first.noisy[0] - first.noisy[1]).mean() > 0.02
    assert origin in first.description.replace("sample ", "")


def test_noise_is_what_the_description_says(monkeypatch: pytest.MonkeyPatch) -> None:
    noisy = noisy_images(128, 128).noisy
    monkeypatch.setattr(test_images, "SIGMA", 0)
    clean = noisy_images(128, 128).noisy
    inner = (clean > 0.3) & (clean < 0.7)  # where nothing is clipped
    assert (noisy - clean)[inner].std() == pytest.approx(25 / 255, rel=0.05)


def test_photographs_smaller_than_asked_are_mirrored() -> None:
    noisy = noisy_images(1024, 768, count=1).noisy
    assert noisy.shape == (1, 1024, 768, 3)
    assert noisy[0, :64].std() > 0.05


def test_more_images_than_photographs_can_be_had() -> None:
    assert noisy_images(32, 32, count=9).noisy.shape == (9, 32, 32, 3)
