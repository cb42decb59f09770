"""The same image in both sets is warned of, and images that changed since a run began are refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from n2b.runtime.errors import UserError
from n2b.training.config import TrainConfig
from n2b.training.data.dataset import Dataset, load_dataset
from n2b.training.data.duplicates import check_contents

from ..conftest import save_images


def load(tmp_path: Path, **fields: Any) -> Dataset:
    sets = {name: (str(tmp_path / name),) for name in ("noisy", "clean")}
    config = TrainConfig(**sets, steps=1, patch_px=32, filter="mean:3", **fields)
    return load_dataset(config, tmp_path / "run", "cpu")


@pytest.fixture
def two_sets(tmp_path: Path) -> Path:
    save_images(tmp_path / "noisy", 3)
    save_images(tmp_path / "clean", 2, 10)
    (tmp_path / "run").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("noise", "harm"), [(None, "teach the network to keep it"), ("gaussian:25", "look better than it is")]
)
def test_the_same_image_in_both_sets_is_warned_of(
    two_sets: Path, caplog: pytest.LogCaptureFixture, noise: str | None, harm: str
) -> None:
    load(two_sets, noise=noise)
    assert "in the noisy set too" not in caplog.text
    shutil.copy(next((two_sets / "noisy").iterdir()), two_sets / "clean" / "copy.png")
    load(two_sets, noise=noise)
    assert "1 of the clean photographs are in the noisy set too" in caplog.text
    assert harm in caplog.text


@pytest.mark.parametrize("noise", [None, "gaussian:25"])
def test_images_that_changed_are_refused(two_sets: Path, noise: str | None) -> None:
    begun = load(two_sets, noise=noise).contents
    assert (begun["noisy"], begun["clean"]) == (3, 2)
    check_contents(load(two_sets, noise=noise).contents, begun, two_sets)
    check_contents(begun, None, two_sets)  # a checkpoint of before

    noisy = sorted((two_sets / "noisy").iterdir())
    before = noisy[0].read_bytes()
    noisy[0].write_bytes(next((two_sets / "clean").iterdir()).read_bytes())
    with pytest.raises(UserError, match="3 noisy and 2 clean, and others have their names; put them back"):
        check_contents(load(two_sets, noise=noise).contents, begun, two_sets)
    noisy[0].unlink()
    with pytest.raises(UserError, match="3 noisy and 2 clean, and now there are 2 noisy and 2 clean; put"):
        check_contents(load(two_sets, noise=noise).contents, begun, two_sets)
    noisy[0].write_bytes(before)
    save_images(two_sets / "clean", 5, 20)
    with pytest.raises(UserError, match="and now there are 3 noisy and 5 clean"):
        check_contents(load(two_sets, noise=noise).contents, begun, two_sets)
