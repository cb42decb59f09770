from __future__ import annotations

import pickle
import re
import sys

import numpy as np
import pytest
from n2b.runtime.errors import MissingPackageError, UserError
from n2b.training.labels.bm3d import estimate_sigma
from n2b.training.labels.filters import parse_filter
from n2b.training.noise import parse_noise

from ..conftest import smooth_image

QUICK = ["bilateral", "gaussian", "mean", "median"]


def grey(value: int = 128, size: int = 256) -> np.ndarray:
    return np.full((size, size, 3), value, np.uint8)


def add_noise(spec: str, image: np.ndarray) -> np.ndarray:
    return parse_noise(spec)(image, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("spec", "kept"),
    [
        ("bilateral", 0.12),
        ("gaussian:3", 0.12),
        ("mean:31", 0.05),
        ("median:31", 0.08),
        ("mean", 0.05),
    ],
)
def test_labels_are_nearly_free_of_noise(spec: str, kept: float) -> None:
    noisy = add_noise("gaussian:25", grey())
    for domain in ("linear", "log"):
        label = parse_filter(spec, domain)(noisy)
        assert label.shape == noisy.shape
        assert label.dtype == np.uint8
        assert label[32:-32, 32:-32].astype(float).std() < kept * 25


def test_mean_filter_averages_over_the_size_it_names() -> None:
    image = grey(0, 63)
    image[31, 31] = 225
    assert set(np.unique(parse_filter("mean:15")(image))) == {0, 1}
    assert parse_filter("mean:15")(image)[:, :, 0].sum() == 225


@pytest.mark.parametrize(
    "spec", ["mean:2", "mean:4", "mean:30", "mean:32", "mean:31", "median:4", "gaussian:3"]
)
@pytest.mark.parametrize("domain", ["linear", "log"])
def test_a_label_lies_where_its_image_does(spec: str, domain: str) -> None:
    image = grey(0, 81)
    image[38:43, 35:46] = 255
    label = parse_filter(spec, domain)(image)
    np.testing.assert_array_equal(label, label[::-1, ::-1])
    np.testing.assert_array_equal(label, label[:, ::-1])


def test_an_even_mean_averages_over_the_size_it_names() -> None:
    image = grey(0, 63)
    image[31, 31] = 240
    label = parse_filter("mean:4")(image)[..., 0]
    assert label[31, 29:34].tolist() == [8, 15, 15, 15, 8]
    assert label[29, 29:34].tolist() == [4, 8, 8, 8, 4]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("mean:0.3", "SIZE is 0.3; it must be a whole number from 1 to 999"),
        ("mean:999999", "SIZE is 999999; it must be a whole number from 1 to 999"),
        ("mean:2.5", "SIZE is 2.5; it must be a whole number"),
        ("median:999", "SIZE is 999; it must be a whole number from 1 to 255"),
        ("bilateral:9999", "DIAMETER is 9999; it must be a whole number from 1 to 99"),
        ("bilateral:15,1e5", "SIGMA_COLOUR is 100000; it must be a number from 0.1 to 1000"),
        ("bilateral:15,50,7,5000", "PRESMOOTH is 5000; it must be a number from 0.1 to 100"),
        ("gaussian:99999", "SIGMA is 99999; it must be a number from 0.1 to 100"),
        ("gaussian:1e-9", "SIGMA is 1e-09; it must be a number from 0.1 to 100"),
        ("gaussian:inf", "SIGMA is inf; it must be a number from 0.1 to 100"),
        ("bm3d:1000", "SIGMA is 1000; it must be a number from 0.1 to 255"),
    ],
)
def test_numbers_out_of_bounds_are_refused(spec: str, reason: str) -> None:
    with pytest.raises(UserError, match=re.escape(f"filter '{spec}': {reason}")):
        parse_filter(spec)


def test_a_mean_of_logarithms_is_a_geometric_mean() -> None:
    image = grey(15, 64)
    image[:, ::2] = 255  # (15 + 1) · (255 + 1) = 64²
    assert (parse_filter("mean:32", "log")(image)[20:-20, 20:-20] == 63).all()
    assert (parse_filter("mean:32")(image)[20:-20, 20:-20] == 135).all()


def test_a_median_is_the_same_in_both_domains() -> None:
    noisy = add_noise("text:0.2", smooth_image(1))
    np.testing.assert_array_equal(parse_filter("median:35", "log")(noisy), parse_filter("median:35")(noisy))


def test_in_log_a_bilateral_filter_treats_speckle_alike_whatever_the_brightness() -> None:
    blur = parse_filter("bilateral:9,30,5,0.5", "log")
    kept = [
        blur(add_noise("speckle:0.01", grey(value, 128)))[16:-16, 16:-16].astype(float).std() / value
        for value in (50, 200)
    ]
    assert kept[0] == pytest.approx(kept[1], rel=0.2)


@pytest.mark.parametrize("domain", ["linear", "log"])
@pytest.mark.parametrize("spec", QUICK)
def test_flat_images_of_every_level_and_size_stay_as_they_are(spec: str, domain: str) -> None:
    blur = parse_filter(spec, domain)
    for value in range(0, 256, 5):
        image = np.full((3, 40, 3), value, np.uint8)
        np.testing.assert_array_equal(blur(image), image)
    assert blur(grey(7, 1)).tolist() == [[[7, 7, 7]]]


@pytest.mark.parametrize("spec", [*QUICK, "median:5", "bm3d:30"])
def test_a_filter_goes_to_another_process_and_knows_whether_it_is_slow(spec: str) -> None:
    blur = parse_filter(spec, "log")
    assert pickle.loads(pickle.dumps(blur)) == blur
    assert blur.is_slow == spec.startswith("bm3d")


@pytest.mark.parametrize(
    "spec", ["", "box", "mean:0", "mean:-3", "mean:a", "mean:3,4", "gaussian:nan", "bm3d:0"]
)
def test_a_filter_that_does_not_exist_is_refused(spec: str) -> None:
    with pytest.raises(UserError, match="filter"):
        parse_filter(spec)


def test_an_unknown_domain_is_refused() -> None:
    with pytest.raises(UserError, match="unknown domain 'cubic'"):
        parse_filter("mean", "cubic")


@pytest.mark.parametrize("sigma", [3, 25])
def test_the_noise_of_an_image_is_estimated(sigma: float) -> None:
    assert estimate_sigma(add_noise(f"gaussian:{sigma}", smooth_image(1))) == pytest.approx(sigma, rel=0.06)
    assert estimate_sigma(grey(7, 1)) == 0


def test_bm3d_takes_the_noise_and_leaves_the_edges() -> None:
    clean = grey(60, 48)
    clean[:, 24:] = 180
    label = parse_filter("bm3d")(add_noise("gaussian:25", clean)).astype(float)
    assert np.abs(label - clean).mean() < 0.12 * 25
    assert label[:, 24].mean() - label[:, 23].mean() > 90
    np.testing.assert_array_equal(parse_filter("bm3d")(add_noise("gaussian:25", clean)), label)


def test_bm3d_blurs_as_far_as_its_sigma_tells_it() -> None:
    noisy = add_noise("gaussian:20", grey(100, 32))
    left = [parse_filter(f"bm3d:{sigma}")(noisy).astype(float).std() for sigma in (2, 40)]
    assert left[1] < 0.2 * left[0]


def test_bm3d_labels_logarithms() -> None:
    label = parse_filter("bm3d", "log")(add_noise("speckle:0.01", grey(150, 32))).astype(float)
    assert label.std() < 0.2 * 15
    assert label.mean() == pytest.approx(149, abs=3)


@pytest.mark.filterwarnings("error")
def test_bm3d_takes_images_without_colour_size_or_content() -> None:
    for image in (grey(0, 20), grey(255, 1), add_noise("saltpepper:0.02", grey(0, 20))):
        label = parse_filter("bm3d")(image)
        assert label.shape == image.shape
        assert np.abs(label[..., 0].astype(int) - label[..., 2]).max() <= 1
        if np.ptp(image) == 0:
            np.testing.assert_array_equal(label, image)


def test_without_its_package_bm3d_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bm3d", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'noise2blur\[bm3d\]'"):
        parse_filter("bm3d")
