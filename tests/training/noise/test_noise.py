from __future__ import annotations

import pickle

import numpy as np
import pytest
from n2b.runtime.errors import UserError
from n2b.training.noise import Noise, default_filter, noise_domain, parse_noise

from ..conftest import smooth_image

EVERY_KIND = [
    "gaussian:25", "speckle:0.1", "saltpepper:0.2", "text:0.2", "poisson:4,3", "jpeg:30",
    "gaussian:10-30+jpeg:80",
]  # fmt: skip


def grey(value: int = 128, size: int = 256) -> np.ndarray:
    return np.full((size, size, 3), value, np.uint8)


def make(spec: str, clean: np.ndarray, seed: int = 0) -> np.ndarray:
    return parse_noise(spec)(clean, np.random.default_rng(seed))


def noise_of(spec: str, value: int = 128) -> np.ndarray:
    """Return the noise that is added to a grey image."""
    return make(spec, grey(value)).astype(float) - value


def is_changed(noisy: np.ndarray, clean: np.ndarray) -> np.ndarray:
    return (noisy != clean).any(axis=2)


@pytest.mark.parametrize("spec", EVERY_KIND)
def test_every_noise_keeps_the_form_of_its_image_and_leaves_it_alone(spec: str) -> None:
    for height, width in ((61, 83), (1, 1), (5, 200)):
        clean = smooth_image(1, height, width)
        before = clean.copy()
        noisy = make(spec, clean)
        assert noisy.shape == clean.shape
        assert noisy.dtype == np.uint8
        np.testing.assert_array_equal(clean, before)


@pytest.mark.parametrize("spec", EVERY_KIND)
def test_the_same_seed_gives_the_same_noise_and_another_seed_another(spec: str) -> None:
    clean = smooth_image(1)
    np.testing.assert_array_equal(make(spec, clean, 3), make(spec, clean, 3))
    assert spec.startswith("jpeg") or (make(spec, clean, 3) != make(spec, clean, 4)).any()


@pytest.mark.parametrize("spec", EVERY_KIND)
def test_every_noise_goes_to_another_process(spec: str) -> None:
    noise: Noise = pickle.loads(pickle.dumps(parse_noise(spec)))
    clean = smooth_image(1)
    np.testing.assert_array_equal(noise(clean, np.random.default_rng(3)), make(spec, clean, 3))


def test_gaussian_noise_has_the_standard_deviation_it_names() -> None:
    difference = noise_of("gaussian:25")
    assert abs(difference.mean()) < 0.2
    assert difference.std() == pytest.approx(25, rel=0.01)


def test_gaussian_noise_draws_sigma_evenly_from_its_range() -> None:
    noise = parse_noise("gaussian:10-30")
    sigmas = [noise(grey(size=64), np.random.default_rng(seed)).astype(float).std() for seed in range(200)]
    assert 9 < min(sigmas) < 12
    assert 28 < max(sigmas) < 31
    assert np.mean(sigmas) == pytest.approx(20, abs=1.5)


@pytest.mark.parametrize("variance", [0.03, 0.1])
def test_speckle_is_uniform_of_the_variance_it_names_and_grows_with_the_brightness(variance: float) -> None:
    for value in (50, 150):
        factor = noise_of(f"speckle:{variance}", value) / value
        assert abs(factor.mean()) < 0.003
        assert factor.var() == pytest.approx(variance, rel=0.02)
        assert np.abs(factor).max() == pytest.approx(np.sqrt(3 * variance), abs=0.5 / value + 0.001)
    assert (make("speckle:0.1", grey(0)) == 0).all()


def test_speckle_differs_between_channels() -> None:
    red, green, _ = np.moveaxis(noise_of("speckle:0.1"), 2, 0)
    assert abs(np.corrcoef(red.ravel(), green.ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("fraction", [0, 0.05, 0.4, 1])
def test_salt_and_pepper_takes_the_fraction_it_names_half_black_half_white(fraction: float) -> None:
    clean = smooth_image(1, 256, 256)  # neither black nor white anywhere
    noisy = make(f"saltpepper:{fraction}", clean)
    assert (noisy == 0).all(axis=2).mean() == pytest.approx(fraction / 2, abs=0.005)
    assert (noisy == 255).all(axis=2).mean() == pytest.approx(fraction / 2, abs=0.005)
    assert is_changed(noisy, clean).mean() == pytest.approx(fraction, abs=0.007)


def test_salt_and_pepper_takes_all_channels_of_a_pixel() -> None:
    noisy = make("saltpepper:0.3", grey())
    assert (np.ptp(noisy, axis=2) == 0).all()


@pytest.mark.parametrize("fraction", [0.0, 0.05, 0.25, 0.5, 0.9])
def test_text_covers_the_fraction_it_names(fraction: float) -> None:
    covered = is_changed(make(f"text:{fraction}", grey(), seed=1), grey()).mean()
    assert covered == pytest.approx(fraction, abs=0.002)  # a letter may have the image's own colour


def test_text_lies_anywhere_in_many_colours() -> None:
    drawn = [make("text:0.1", grey(size=128), seed) for seed in range(40)]
    colours = {tuple(pixel) for noisy in drawn for pixel in noisy.reshape(-1, 3)}
    assert len(colours) > 80
    often = np.mean([is_changed(noisy, grey(size=128)) for noisy in drawn], axis=0)
    quarters = [often[y : y + 64, x : x + 64].mean() for y in (0, 64) for x in (0, 64)]
    assert quarters == pytest.approx([0.1] * 4, abs=0.03)


def test_text_consists_of_whole_strokes() -> None:
    covered = is_changed(make("text:0.2", grey(), seed=2), grey())
    neighbours = covered[1:-1, 2:].astype(int) + covered[1:-1, :-2] + covered[2:, 1:-1] + covered[:-2, 1:-1]
    assert neighbours[covered[1:-1, 1:-1]].mean() > 2.5  # of scattered pixels it would be 0.8


def test_poisson_noise_has_a_variance_that_is_a_line_in_the_brightness() -> None:
    values = np.array([40, 80, 120, 160])
    noises = [noise_of("poisson:3,5", value) for value in values]
    assert np.mean(noises, axis=(1, 2, 3)) == pytest.approx([0] * 4, abs=0.3)
    slope, offset = np.polyfit(values, np.var(noises, axis=(1, 2, 3)), 1)
    assert slope == pytest.approx(3, rel=0.03)
    assert offset == pytest.approx(5**2, abs=4)


def test_poisson_noise_alone_comes_in_steps_of_the_gain() -> None:
    assert set(np.unique(make("poisson:10", grey()) % 10)) <= {0, 5}  # 255, where it is clipped
    assert (make("poisson:10", grey(0)) == 0).all()


def test_jpeg_errs_more_at_lower_quality() -> None:
    clean = make("gaussian:10", smooth_image(1))
    errors = [np.mean((make(f"jpeg:{quality}", clean) - clean.astype(float)) ** 2) for quality in (95, 50, 5)]
    assert 0 < errors[0] < errors[1] < errors[2]


def test_jpeg_keeps_the_colours_in_their_channels() -> None:
    red = np.zeros((64, 64, 3), np.uint8)
    red[:, :, 0] = 200
    assert np.abs(make("jpeg:90", red) - red.astype(int)).max() <= 3


@pytest.mark.parametrize("kind", ["speckle:0.001-0.1", "saltpepper:0.05-0.5", "text:0.05-0.5", "poisson:1-9"])
def test_a_range_gives_each_image_its_own_level(kind: str) -> None:
    strengths = [np.mean((make(kind, grey(size=64), seed).astype(float) - 128) ** 2) for seed in range(30)]
    assert max(strengths) > 3 * min(strengths)


def test_a_range_of_qualities_gives_each_image_its_own() -> None:
    clean = make("gaussian:20", smooth_image(1))
    noisy = {make("jpeg:10-90", clean, seed).tobytes() for seed in range(10)}
    assert len(noisy) > 5


def test_a_chain_applies_its_stages_in_turn() -> None:
    clean = smooth_image(1)
    rng = np.random.default_rng(5)
    expected = parse_noise("jpeg:20")(parse_noise("gaussian:20")(clean, rng), rng)
    np.testing.assert_array_equal(make("gaussian:20+jpeg:20", clean, 5), expected)
    assert (make("jpeg:20+gaussian:20", clean, 5) != expected).any()


@pytest.mark.parametrize(
    "spec",
    [
        "gaussian", "gaussian:", "gaussian:x", "gaussian:30-10", "gaussian:0-300", "gaussian:-5",
        "gaussian:nan", "gaussian:5-", "gaussian:1,2", "speckle:2", "saltpepper:1.5", "text:1",
        "poisson:0", "poisson:1,2,3", "poisson:1,", "jpeg:0", "jpeg:101", "gaussian:10+jpeg",
    ],
)  # fmt: skip
def test_a_level_that_does_not_fit_is_refused_with_the_form_it_should_have(spec: str) -> None:
    usage = {"gaussian:10+jpeg": "jpeg:QUALITY"}.get(spec, f"{spec.partition(':')[0]}:[A-Z]+")
    with pytest.raises(UserError, match=rf"^noise '.*' is (not of the form|out of range:) {usage}.*$"):
        parse_noise(spec)


@pytest.mark.parametrize("spec", ["", "rain:3", "gaussian:10+", "gaussian:10+rain:3", "GAUSSIAN:3"])
def test_an_unknown_noise_is_refused_with_those_that_are_known(spec: str) -> None:
    with pytest.raises(UserError) as refusal:
        parse_noise(spec)
    message = str(refusal.value)
    assert "\n" not in message
    for kind in ("gaussian:", "speckle:", "saltpepper:", "text:", "poisson:", "jpeg:"):
        assert kind in message


@pytest.mark.parametrize(
    ("spec", "domain", "filter_spec"),
    [
        (None, "linear", "bilateral"),
        ("gaussian:25", "linear", "bilateral"),
        ("poisson:4,2", "linear", "bilateral"),
        ("jpeg:50", "linear", "bilateral"),
        ("speckle:0.1", "log", "median:35"),
        ("saltpepper:0.1", "linear", "median:31"),
        ("text:0.1", "linear", "median:35"),
        ("text:0.1+gaussian:5", "linear", "median:35"),
        ("gaussian:5+speckle:0.1", "log", "bilateral"),
    ],
)
def test_each_noise_knows_the_values_and_the_labels_that_suit_it(
    spec: str | None, domain: str, filter_spec: str
) -> None:
    assert noise_domain(spec) == domain
    assert default_filter(spec) == filter_spec
