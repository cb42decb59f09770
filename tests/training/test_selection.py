"""Real noise: a noise model, snapshots that are compared, and the best one exported."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from n2b.runtime.images.image import Image, write_image
from n2b.training.checkpoint import load_checkpoint, load_denoiser
from n2b.training.cli import main
from n2b.training.config import TrainConfig
from n2b.training.data.dataset import load_dataset
from n2b.training.evaluation.comparison import Conclusion
from n2b.training.models.registry import build_denoiser
from n2b.training.noise_model import NoiseModel
from n2b.training.report.verdict import FAIR, GOOD, POOR, Verdict, verdict_on_run
from n2b.training.selection import Selection

from .conftest import save_images
from .noise_model.scenes import scene

QUICK = ["--batch", "2", "--patch", "32", "--device", "cpu", "--precision", "fp32", "--filter", "mean:9"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Noisy images of a camera, σ 12, and clean photographs."""
    folder = tmp_path_factory.mktemp("camera")
    for index in range(2):
        rng = np.random.default_rng(index)
        noisy = scene(index, size_px=192, textured=0.2) + rng.normal(0, 12, (192, 192, 3))
        pixels = np.rint(np.clip(noisy, 0, 255)).astype(np.uint8)
        write_image(folder / "noisy" / f"{index}.png", Image(pixels))
    return {"noisy": folder / "noisy", "clean": save_images(folder / "clean", 2)}


def train(folders: dict[str, Path], out: Path, *options: str) -> None:
    main_arguments = ["--noisy", str(folders["noisy"]), "--clean", str(folders["clean"]), "--out", str(out)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["n2b-train", *main_arguments, *QUICK, *options])
        with pytest.raises(SystemExit) as ended:
            main()
    assert not ended.value.code


@pytest.fixture(scope="module")
def run(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that starts from the bundled model and ruins it, by its learning rate."""
    out = tmp_path_factory.mktemp("runs") / "run"
    train(folders, out, "--steps", "20", "--lr", "0.05", "--checkpoint-every", "5", "--keep-snapshots")
    return out


def test_real_noise_starts_from_the_bundled_camera_model(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    assert (config["arch"], config["initial"], config["noise_model"]) == ("edge", "camera", True)


def test_the_noise_model_is_saved_and_right(run: Path) -> None:
    model = NoiseModel.load(run / "noise.json")
    assert len(model.source) == 2
    assert model.level[8] == pytest.approx(12, rel=0.2)


def test_a_ruined_network_is_not_exported(run: Path) -> None:
    state = load_checkpoint(run)
    assert state["selected"]["step"] < 20
    exported, _ = load_denoiser(run)
    noisy = torch.rand(1, 3, 32, 32)
    last = state["networks"]["denoiser"]
    assert any(not torch.equal(last[name], value) for name, value in state["selected"]["weights"].items())
    assert torch.isfinite(exported(noisy)).all()


def test_kept_snapshots_are_ranked_at_the_end(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "judgement.jsonl").read_text().splitlines()]
    kept = sorted((run / "judged").glob("step-*.pt"))
    assert [line["step"] for line in lines] == [int(path.stem.removeprefix("step-")) for path in kept]
    assert lines[0]["score_db"] > lines[-1]["score_db"] + 1  # ever more ruined
    assert load_denoiser(kept[0])[1].architecture == "edge"


def test_a_run_that_brings_nothing_ends_early(run: Path) -> None:
    assert load_checkpoint(run)["position"]["step"] < 20


def test_the_report_names_images_step_and_what_is_better(run: Path) -> None:
    text = re.sub(r"\s+", " ", (run / "report" / "index.html").read_text())
    assert "0.png" in text and "1.png" in text
    assert "this run, step 0" in text and "bundled model &#39;camera&#39;" in text
    assert "No snapshot is better than the model that the training started from" in text
    assert "Noise level of your images" in text and "Compared on 0.png, 1.png" in text


def test_a_restored_selection_goes_on_as_the_original(folders: dict[str, Path], tmp_path: Path) -> None:
    config = TrainConfig(
        noisy=(str(folders["noisy"]),), clean=(str(folders["clean"]),), steps=1, noise_model=True,
        patch_px=32, filter="mean:9", method="n2v",
    )  # fmt: skip
    dataset = load_dataset(config, tmp_path / "run", torch.device("cpu"))
    torch.manual_seed(0)
    networks = [build_denoiser("edge") for _ in range(3)]
    original = Selection(dataset, seed=0, device=torch.device("cpu"))
    for step, network in enumerate(networks[:2], 1):
        original.consider(step, network)
    restored = Selection(dataset, seed=0, device=torch.device("cpu"))
    restored.restore(original.state(), networks[0])
    assert restored.best_step == original.best_step
    assert restored.consider(3, networks[2]) == original.consider(3, networks[2])
    assert restored.conclude() == original.conclude()


def conclusion(**changes: object) -> Conclusion:
    values: dict[str, object] = {
        "best_step": 500,
        "judged": ["a.png"],
        "scores": {"best": 38.0, "camera": 37.0, "input": 30.0},
        "removed": {"best": 1.0, "camera": 1.0},
        "is_improving": False,
    }
    return Conclusion(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({}, GOOD, "Noise is gone."),
        ({"scores": {"best": 29.0, "input": 30.0}}, POOR, "worse than the noisy images"),
        (
            {"scores": {"best": 38.0, "camera": 38.6, "input": 30.0}},
            POOR,
            "'camera' is better on these images",
        ),
        ({"removed": {"best": 3.0, "camera": 1.1}}, POOR, "loses detail"),
        ({"best_step": 0}, FAIR, "No snapshot is better"),
    ],
)
def test_the_verdict_opens_with_the_gravest_finding(
    changes: dict[str, object], level: str, words: str
) -> None:
    verdict = verdict_on_run(Verdict(GOOD, "Noise is gone."), conclusion(**changes))
    assert verdict is not None and verdict.level == level
    assert words in verdict.words.split(".")[0] + "."


def test_the_verdict_names_noise_that_stays() -> None:
    lines = ["row banding of 3.1 grey levels: Noise2Blur takes it for detail; take dark frames, --dark"]
    verdict = verdict_on_run(Verdict(GOOD, "Noise is gone."), conclusion(), lines)
    assert verdict is not None
    assert (verdict.level, verdict.advice) == (FAIR, "Take dark frames: --dark.")
    assert verdict.words == "Part of the noise has structure and stays: row banding of 3.1 grey levels."


def test_banding_is_reported_while_training(
    folders: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for index in range(3):
        rng = np.random.default_rng(index)
        noise = rng.normal(0, 4, (256, 256, 3)) + rng.normal(0, 4, (256, 1, 1))
        pixels = scene(index, size_px=256, textured=0.1) + noise
        pixels = np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)
        write_image(tmp_path / "banded" / f"{index}.png", Image(pixels))
    config = TrainConfig(
        noisy=(str(tmp_path / "banded"),), clean=(str(folders["clean"]),), steps=1, noise_model=True,
        patch_px=32, method="n2v",
    )  # fmt: skip
    dataset = load_dataset(config, tmp_path / "run", torch.device("cpu"))
    assert dataset.structure is not None and dataset.structure.has_row_banding
    assert "row banding of" in caplog.text and "--dark" in caplog.text


def test_longer_training_is_advised_only_while_it_helps() -> None:
    noise_left = Verdict(FAIR, "Some noise remains.", "Train longer.")
    improving = verdict_on_run(noise_left, conclusion(is_improving=True))
    settled = verdict_on_run(noise_left, conclusion(is_improving=False))
    assert improving is not None and improving.advice == "Train longer."
    assert settled is not None and "would not help" in settled.advice
