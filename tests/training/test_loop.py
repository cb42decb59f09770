from __future__ import annotations

import html
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from n2b.runtime.errors import DeviceError, UserError
from n2b.runtime.samples import sample_photographs
from n2b.training.checkpoint import load_checkpoint
from n2b.training.cli import repeat_path_options
from n2b.training.config import TrainConfig, load_config
from n2b.training.device import resolve_device, resolve_precision
from n2b.training.loop import learning_rate, train
from n2b.training.models.noise2blur import DnNet

from .conftest import Train, save_images, smooth_image

ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}  # two threads wait for each other on a busy machine
SMALL = ["--batch", "2", "--patch", "32", "--device", "cpu", "--arch", "edge"]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from n2b.training.cli import main; main()", *arguments]


def run_command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=folder, env=ONE_THREAD, capture_output=True, text=True, check=False
    )


def weights_of(run: Path) -> dict[str, torch.Tensor]:
    networks = load_checkpoint(run)["networks"]
    return {f"{n}.{k}": w for n, weights in networks.items() for k, w in weights.items()}


def assert_same_weights(first: Path, second: Path) -> None:
    a, b = weights_of(first), weights_of(second)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_killed_run_resumes_to_the_same_bits_as_an_uninterrupted_one(
    image_folder: Path, tmp_path: Path
) -> None:
    options = ["--noisy", str(image_folder), "--noise", "gaussian:25", "--steps", "40", *SMALL]
    whole = run_command(tmp_path, *options, "--out", "whole")
    assert whole.returncode == 0, whole.stderr

    checkpoint = tmp_path / "killed" / "checkpoint.pt"
    process = subprocess.Popen(
        command(*options, "--out", "killed", "--checkpoint-every", "3"),
        cwd=tmp_path, env=ONE_THREAD, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while not checkpoint.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert 0 < load_checkpoint(checkpoint)["position"]["step"] < 40

    resumed = run_command(tmp_path, "--resume", "--out", "killed")
    assert resumed.returncode == 0, resumed.stderr
    assert load_checkpoint(checkpoint)["position"]["step"] == 40
    assert_same_weights(tmp_path / "whole", tmp_path / "killed")
    assert load_checkpoint(checkpoint)["position"]["stage_start"] == 2


def test_ctrl_c_ends_with_a_checkpoint_that_can_be_resumed(image_folder: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("--noisy", str(image_folder), "--noise", "gaussian:25", "--minutes", "60",
                "--checkpoint-every", "1", "--out", "run", *SMALL),
        cwd=tmp_path, env=ONE_THREAD, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    while not checkpoint.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 130, errors
    assert "--resume" in errors
    assert "Traceback" not in errors
    assert load_checkpoint(checkpoint)["position"]["step"] > 0


def test_a_trained_network_removes_noise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = save_images(tmp_path / "images", 8)
    config = TrainConfig(
        noisy=(str(folder),), noise="gaussian:40", filter="gaussian:3", steps=60, batch=4, patch_px=32,
        device="cpu", precision="fp32",
    )  # fmt: skip
    state = load_checkpoint(train(config, tmp_path / "run"))
    network = DnNet()
    network.load_state_dict(state["networks"]["denoiser"])
    clean = smooth_image(99, 64, 64)
    noisy = clean + 40 * np.random.default_rng(0).standard_normal(clean.shape)
    with torch.no_grad():
        x = torch.from_numpy(noisy).float().permute(2, 0, 1)[None] / 255
        denoised = network(x)[0].permute(1, 2, 0).numpy() * 255
    assert np.mean((denoised - clean) ** 2) < 0.5 * np.mean((noisy - clean) ** 2)
    (verdict,) = re.findall(r"^verdict: (.+)", capsys.readouterr().out, re.MULTILINE)
    page = (tmp_path / "run" / "report" / "index.html").read_text()
    assert verdict in html.unescape(re.sub(r"<[^>]+>", "", page))


def test_the_learning_rate_warms_up_and_falls_to_zero() -> None:
    config = TrainConfig(noisy=("x",), steps=1000)
    rates = [learning_rate(config, step, step / 1000) for step in range(1000)]
    assert rates[0] == pytest.approx(1e-3 / 50)
    assert max(rates) == pytest.approx(1e-3, rel=0.02)
    assert np.argmax(rates) == 49
    assert learning_rate(config, 1000, 1.0) == pytest.approx(0)


def test_the_run_folder_holds_config_checkpoint_and_curves(
    image_folder: Path, tmp_path: Path, n2b_train: Train
) -> None:
    options = ["--noisy", f"{image_folder}/*.png", "--noise", "gaussian:10-20", "--steps", "2"]
    status, _, errors = n2b_train(*options, *SMALL)
    assert status == 0, errors
    run = tmp_path / "runs" / "latest"
    assert run.is_symlink()
    config = load_config(run)
    assert (config.noise, config.steps, config.batch, config.patch_px) == ("gaussian:10-20", 2, 2, 32)
    assert json.loads((run / "config.json").read_text())["noise"] == "gaussian:10-20"
    assert list(run.glob("events.out.tfevents.*"))
    trained = load_checkpoint(run)["trained"]
    assert (trained["steps"], trained["noisy_images"], trained["clean_images"]) == (2, 3, 3)


def test_resuming_with_other_options_names_the_fields_that_differ(
    image_folder: Path, tmp_path: Path, n2b_train: Train
) -> None:
    TrainConfig(noisy=(str(image_folder),), steps=2).save(tmp_path / "run")
    status, _, errors = n2b_train("--resume", "--out", "run", "--batch", "3", "--steps", "2")
    assert status == 2
    assert "--batch was 16" in errors
    assert "--steps" not in errors


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--noisy", "nowhere", "--noise", "gaussian:25"], "nowhere"),
        (["--noise", "rain:3"], "unknown noise 'rain:3'"),
        (["--filter", "box"], "unknown filter 'box'"),
        (["--steps", "3", "--minutes", "1"], "one of them"),
        (["--steps", "0"], "--steps is 0"),
        (["--noisy", ".", "--val", "."], "give --noise"),
        (["--device", "abacus"], "unknown device 'abacus'"),
        (["--precision", "fp16", "--device", "cpu"], "NVIDIA GPU"),
        (["--precision", "fp12"], "'fp12' is not one of"),
        (["--method", "magic"], "'magic' is not one of"),
        (["--lr", "nan"], "--lr is nan; it must be above 0"),
        (["--lr", "inf"], "--lr is inf"),
        (["--seed", "-1"], "--seed is -1; it must be at least 0"),
        (["--average", "1"], "--average is 1.0; it must be at least 0, below 1"),
        (["--noise-gain", "1-inf"], "--noise-gain is a range"),
        (["--resume", "--out", "nowhere"], "no run to resume"),
        (["--frobnicate"], "--frobnicate"),
    ],
)  # fmt: skip
def test_a_mistake_ends_in_one_line_and_status_2(arguments: list[str], words: str, n2b_train: Train) -> None:
    status, _, message = n2b_train(*arguments)
    assert status == 2
    assert words in message
    assert message.count("\n") == 1


def test_an_existing_run_is_not_overwritten(tmp_path: Path, n2b_train: Train) -> None:
    TrainConfig(noisy=("x",), steps=2).save(tmp_path / "run")
    before = (tmp_path / "run" / "config.json").read_bytes()
    status, _, errors = n2b_train("--out", "run", "--steps", "1")
    assert status == 2
    assert "--resume" in errors
    assert (tmp_path / "run" / "config.json").read_bytes() == before


def test_a_damaged_config_is_refused(tmp_path: Path) -> None:
    for text in ("", "{", "[]", '{"noisy": 3}', '{"noisy": ["x"], "steps": 1, "colour": 2}'):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(UserError):
            load_config(tmp_path)


def test_a_missing_gpu_is_a_device_error_and_precision_follows_the_device() -> None:
    with pytest.raises(DeviceError, match="cpu"):
        resolve_device("cuda:99")
    assert resolve_precision("fp32", torch.device("cpu")) == "fp32"
    assert resolve_precision("auto", torch.device("cpu")) in ("fp32", "bf16")


@pytest.mark.parametrize("names_clean", [True, False])
def test_real_noise_needs_no_noise_model(image_folder: Path, tmp_path: Path, names_clean: bool) -> None:
    clean = (str(save_images(tmp_path / "clean", 2, first_seed=50)),) if names_clean else ()
    config = TrainConfig(
        noisy=(str(image_folder),), clean=clean, steps=2, batch=2, patch_px=32, device="cpu", precision="fp32"
    )
    trained = load_checkpoint(train(config, tmp_path / "run"))["trained"]
    assert (trained["noise"], trained["noisy_images"]) == ("real", 6)
    assert trained["clean_images"] == (2 if names_clean else len(sample_photographs()))


def test_several_paths_may_follow_one_option() -> None:
    given = ["--noisy", "a", "b", "c", "--steps", "3", "--clean", "d", "--val", "e", "f", "--resume"]
    expected = ["--noisy", "a", "--noisy", "b", "--noisy", "c", "--steps", "3", "--clean", "d",
                "--val", "e", "--val", "f", "--resume"]  # fmt: skip
    assert repeat_path_options(given) == expected
    assert repeat_path_options(expected) == expected
