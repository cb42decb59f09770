from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from n2b.runtime.errors import EnvironmentFault, UserError
from n2b.runtime.images.image import read_image
from n2b.runtime.samples import sample_photographs
from n2b.training.labels.filters import Filter, parse_filter
from n2b.training.labels.label_noise import measure_noise, warn_of_noisy_labels
from n2b.training.labels.labels import make_labels
from n2b.training.labels.worker_pool import FilterProcesses
from n2b.training.noise import parse_noise

from ..conftest import smooth_image


def labels_of(images: Sequence[np.ndarray], blur: Filter, cache: Path) -> list[np.ndarray]:
    return [label for _, label in make_labels(images, blur, cache)]


def test_labels_come_in_order_with_their_images(tmp_path: Path) -> None:
    images = [smooth_image(seed, 20 + seed, 30) for seed in range(30)]
    blur = parse_filter("median:5")
    pairs = list(make_labels(iter(images), blur, tmp_path))
    assert len(pairs) == 30
    for image, (same, label) in zip(images, pairs, strict=True):
        assert same is image
        assert (label == blur(image)).all()


def test_labels_are_made_once_and_cached_by_filter_domain_and_pixels(tmp_path: Path) -> None:
    images = [smooth_image(0), smooth_image(1)]
    mean = parse_filter("mean:5")
    first = labels_of(images, mean, tmp_path)
    kept = sorted(tmp_path.iterdir())
    assert len(kept) == 2
    for path in kept:  # were they made anew, this would not show
        np.save(path, np.load(path) // 2)
    assert all((a == b // 2).all() for a, b in zip(labels_of(images, mean, tmp_path), first, strict=True))
    assert sorted(tmp_path.iterdir()) == kept
    for other in (parse_filter("mean:7"), parse_filter("mean:5", "log")):
        assert (labels_of(images[:1], other, tmp_path)[0] == other(images[0])).all()
    assert len(list(tmp_path.iterdir())) == 4
    assert (labels_of([smooth_image(2)], mean, tmp_path)[0] == mean(smooth_image(2))).all()


def test_a_damaged_label_is_made_anew(tmp_path: Path) -> None:
    mean = parse_filter("mean:5")
    labels_of([smooth_image(0)], mean, tmp_path)
    (kept,) = tmp_path.iterdir()
    headers = (b"(((((", b"'\n", b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000, 9, 3)}")
    damaged = [b"\x93NUMPY\x01\x00\x76\x00" + header.ljust(118) for header in headers]
    for content in (b"", b"\x93NUMPY", kept.read_bytes()[:200], *damaged):
        kept.write_bytes(content)
        assert (labels_of([smooth_image(0)], mean, tmp_path)[0] == mean(smooth_image(0))).all()


def test_only_a_few_images_are_under_way(tmp_path: Path) -> None:
    given = 0

    def images():
        nonlocal given
        for seed in range(1000):
            given += 1
            yield np.full((8, 8, 3), seed % 256, np.uint8)

    with closing(make_labels(images(), parse_filter("mean:3"), tmp_path)) as labels:
        next(labels)
        assert given < 1000


def test_a_cache_that_cannot_be_written_is_an_error_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="choose another folder"):
        labels_of([smooth_image(0)], parse_filter("mean:3"), tmp_path / "file")


def test_a_slow_filter_runs_in_other_processes_with_the_same_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("bm3d", reason="the package bm3d is not installed")
    images = [smooth_image(seed, 24, 20) for seed in range(3)]
    bm3d = parse_filter("bm3d:10")
    labels = labels_of(images, bm3d, tmp_path)
    assert all((label == bm3d(image)).all() for label, image in zip(labels, images, strict=True))
    shown = capsys.readouterr()
    assert "labels by bm3d" in shown.err
    assert shown.out == ""


def test_a_filter_that_fails_in_its_process_says_why() -> None:
    with FilterProcesses(Filter("no such kind", ())) as blur:
        for _ in range(2):
            with pytest.raises(EnvironmentFault, match="no such kind failed: KeyError"):
                blur(smooth_image(0, 8, 8))


class Fatal:
    """Ends the process that unpickles it."""

    def __reduce__(self) -> tuple[Callable[[int], None], tuple[int]]:
        return os._exit, (1,)


def test_a_process_that_dies_is_an_error_in_one_line() -> None:
    with FilterProcesses(parse_filter("mean:3")) as blur:
        assert (blur(smooth_image(0)) == parse_filter("mean:3")(smooth_image(0))).all()
        with pytest.raises(EnvironmentFault, match="lack of memory"):
            blur(np.array(Fatal(), object))


INTERRUPTED = """
import sys
from pathlib import Path
import numpy as np
from n2b.runtime.system.console import run_command
from n2b.training.labels.filters import Filter, parse_filter
from n2b.training.labels.labels import make_labels

Filter.is_slow = True
cache = Path(sys.argv.pop())

def make() -> None:
    images = [np.full((8, 8, 3), value, np.uint8) for value in range(9)]
    images.append(np.zeros((4000, 4000, 3), np.uint8))  # this one takes long
    for _ in make_labels(images, parse_filter("bilateral:99,50,100"), cache):
        pass

run_command(make, "make")
"""


@pytest.mark.skipif(os.name != "posix", reason="signals a group of processes")
def test_ctrl_c_ends_a_slow_filter_at_once_without_a_traceback_and_keeps_what_is_done(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    while len(list(tmp_path.glob("[0-9a-f]*.npy"))) < 9 and process.poll() is None:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert len(list(tmp_path.iterdir())) == 9


@pytest.fixture(scope="module")
def photographs() -> list[np.ndarray]:
    samples = sample_photographs()
    if not samples:
        pytest.skip("no sample photographs are installed")
    return [read_image(path).pixels[:320, :448] for path in samples[:3]]


def noisy_pair(image: np.ndarray, sigma: float, blur: str) -> np.ndarray:
    x = parse_noise(f"gaussian:{sigma}")(image, np.random.default_rng(5))
    return np.concatenate([x, parse_filter(blur)(x)], axis=2)


BILATERAL_ALONE = "bilateral:9,75,75,0.1"


@pytest.mark.parametrize("sigma", [10, 25, 50])
@pytest.mark.parametrize("blur", ["bilateral", BILATERAL_ALONE, "mean:31", "median:31", "gaussian:1.5"])
def test_noise_left_on_photographs_is_that_left_on_grey(
    photographs: list[np.ndarray], sigma: int, blur: str
) -> None:
    on_grey = noisy_pair(np.full((512, 512, 3), 128, np.uint8), sigma, blur)[32:-32, 32:-32].astype(float)
    expected = on_grey[..., 3:].std() / on_grey[..., :3].std()
    pair = noisy_pair(photographs[0], sigma, blur)
    measured = measure_noise(pair[..., :3], pair[..., 3:])
    assert measured is not None
    assert measured.sigma == pytest.approx(sigma, rel=0.1)
    assert measured.left == pytest.approx(expected, rel=0.15, abs=0.04)


@pytest.mark.parametrize(
    ("sigma", "blur", "warns"),
    [
        (25, BILATERAL_ALONE, True),
        (50, BILATERAL_ALONE, True),
        (5, "bilateral", False),
        (25, "bilateral", False),
        (50, "bilateral", False),
        (25, "mean:31", False),
        (25, "median:31", False),
        (25, "gaussian:0.5", True),
        (0, BILATERAL_ALONE, False),
        (0, "gaussian:0.5", False),
    ],
)
def test_labels_that_still_hold_noise_are_reported_in_one_line(
    photographs: list[np.ndarray], sigma: int, blur: str, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    warn_of_noisy_labels((noisy_pair(image, sigma, blur) for image in photographs), blur)
    message = caplog.text
    assert len(caplog.records) == warns
    assert ("--filter" in message and "%" in message and blur in message) == warns


def test_images_without_noise_or_without_grey_tell_nothing(caplog: pytest.LogCaptureFixture) -> None:
    flat = np.full((64, 64, 6), 128, np.uint8)
    black = np.random.default_rng(0).integers(0, 3, (64, 64, 6), dtype=np.uint8)
    small = np.random.default_rng(0).integers(0, 256, (20, 20, 6), dtype=np.uint8)
    warn_of_noisy_labels([flat, black, small], "mean:31")
    assert not caplog.records
