"""Training of the bundled model on noise of several cameras, at toy size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from n2b.runtime.images.image import Image, write_image
from n2b.runtime.model_files import CAMERA_BUNDLED, bundled_models
from n2b.training.checkpoint import load_denoiser
from n2b.training.models.bundled import bundled_camera

from benchmarks.camera_model import __main__ as command
from benchmarks.camera_model.noises import NoiseMixture, NoiseSet, made_up_noise
from benchmarks.camera_model.training import Crops, Settings, Training

SETS = (NoiseSet("old", "old/noisy", "a_", is_kept=True), NoiseSet("new", "new/noisy", most_sigma=20.0))
SIZE = 64


def save(path: Path, sigma: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:160, :192]
    scene = (
        120 + 60 * np.sin(x / 9 + seed)[..., None] * (y > 80)[..., None] + rng.normal(0, sigma, (160, 192, 3))
    )
    write_image(path, Image(np.clip(scene, 0, 255).astype(np.uint8)))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("data")
    for number, (name, sigma) in enumerate(
        {"old/noisy/a_1": 4, "old/noisy/b_1": 90, "new/noisy/1": 12, "new/noisy/2": 40, "clean/bsd/1": 0,
         "clean/debian/1": 0, "clean/debian/2": 0}.items()
    ):  # fmt: skip
        save(folder / f"{name}.png", sigma, number)
    for name in command.CLEAN:
        save(folder / name / "photograph.png", 0, 9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "NOISE_SETS", SETS)
        yield folder


@pytest.fixture(scope="module")
def crops(data: Path) -> Crops:
    return command.read_crops(data, data / "run")


def test_a_training_goes_on_where_it_stopped_and_can_be_exported(
    data: Path, crops: Crops, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(bundled_models()[CAMERA_BUNDLED], minutes=0.01, learning_rate=1e-3, batch=2, kept=1)
    begun = Training(settings)
    assert len(list(begun.edge.run(lambda: begun.errors(crops)))) == begun.edge.step > 0
    begun.edge.save(data / "run", {})
    words = ["--data", str(data), "--out", str(data / "run"), "--batch", "2", "--kept", "1"]
    assert command.main([*words, "--minutes", "0.02"]) == 0
    network, info = load_denoiser(data / "run")
    assert info.architecture == "edge" and info.trained["steps"] > begun.edge.step
    assert torch.isfinite(network(torch.rand(1, 3, 32, 32))).all()
    assert "n2b-export" in capsys.readouterr().out


def test_noise_models_are_of_the_images_named(data: Path, crops: Crops) -> None:
    assert sorted(path.stem for path in (data / "run/noise").iterdir()) == ["new", "old"]
    assert len(crops.kept) == 1
    assert len(crops.clean) == 3 * (len(command.CLEAN) + 2)  # with variants; of debian one of two


def test_the_start_is_the_bundled_model_and_nothing_is_missed_on_kept_images(crops: Crops) -> None:
    start = bundled_models()[CAMERA_BUNDLED]
    training = Training(Settings(start, minutes=1, learning_rate=1e-3, batch=3, kept=2))
    errors = training.errors(crops)
    assert errors[1:].abs().max() < 2 / 255 < errors[0].abs().max()
    bundled = bundled_camera()
    assert bundled is not None
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(training.edge.network(image), bundled(image), atol=1e-4, rtol=0)


def test_noise_of_each_model_is_drawn_by_its_weight() -> None:
    model = made_up_noise(seed=1)
    clean = torch.full((256, 3, SIZE, SIZE), 0.5)
    mixture = NoiseMixture([model, model], [3, 1], SIZE, (1.0, 1.0))
    levels = 255 * mixture.over(clean, np.random.default_rng(0)).square().mean(dim=(1, 2, 3)).sqrt()
    assert 0.02 < (levels < 2).float().mean() < 0.2  # hardly any noise
    assert levels.median() == pytest.approx(float(np.median(model.image_level[:, 8])), rel=0.5)


def test_made_up_cameras_differ_and_are_the_same_for_one_seed() -> None:
    one, same, other = (made_up_noise(seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.covariance, same.covariance)
    assert not np.array_equal(one.image_level, other.image_level)
    assert one.image_level.min() > 0.5 and one.image_level.max() < 40


@pytest.mark.parametrize("kept", ["0", "7"])
def test_there_have_to_be_crops_of_both_kinds(data: Path, kept: str) -> None:
    with pytest.raises(SystemExit):
        command.main(["--data", str(data), "--out", str(data / "run"), "--kept", kept])
