"""The methods that are compared, and the processes that train."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from n2b.runtime.errors import EnvironmentFault
from n2b.runtime.images.image import read_image

from benchmarks.own_camera import methods
from benchmarks.own_camera.sets import SETS, load_set
from benchmarks.subprocesses import run_logged

from .networks import SIDE_PX

SPECS = {spec.name: spec for spec in SETS}


def test_the_noise_of_a_jpeg_shows_at_half_size() -> None:
    rng = np.random.default_rng(0)
    white = 128 + 10 * rng.standard_normal((128, 128, 3))
    for is_coarse in (False, True):
        assert abs(methods.noise_sigma(white, is_coarse=is_coarse) - 10) < 1
    smooth = (white + np.roll(white, 1, 0) + np.roll(white, 1, 1) + np.roll(white, 1, (0, 1))) / 4
    assert smooth.std() > 4
    assert methods.noise_sigma(smooth, is_coarse=False) < 3
    assert methods.noise_sigma(smooth, is_coarse=True) > 4


@pytest.mark.parametrize("method", [methods.BM3D, methods.BM3D_COARSE])
def test_bm3d_estimates_the_noise_of_colour_and_grey(data: Path, method: str) -> None:
    pytest.importorskip("bm3d")
    denoise = methods.untrained_denoiser(method)
    for name in ("Sony", "w2s"):
        pair = next(load_set(data, SPECS[name]).pairs())
        result = denoise(pair.noisy)
        assert (result.shape, result.dtype) == (pair.noisy.shape, np.uint8)
        assert not np.array_equal(result, pair.noisy)


def test_noise2void_runs_in_the_other_python(data: Path, tmp_path: Path) -> None:
    """A stand-in for CAREamics: it returns the noisy images."""
    python = tmp_path / "python"
    python.write_text(
        f"#!{sys.executable}\n"
        "import json, pathlib, shutil, sys\n"
        "job = json.loads(pathlib.Path(sys.argv[3]).read_text())\n"
        "out = pathlib.Path(job['out'])\n"
        "out.mkdir()\n"
        "[shutil.copy(path, out) for path in job['denoise']]\n"
        "(out.parent / 'facts.json').write_text(json.dumps({'steps': len(job['train'])}))\n"
    )
    python.chmod(0o755)
    real, settings = (
        load_set(data, SPECS["Sony"]),
        methods.Settings(data, (), tmp_path, careamics_python=python),
    )
    training = methods.Training(real, real.files, 0.1, tmp_path / "runs" / "n2v")
    trained = methods.train("n2v", training, settings)
    assert trained.facts == {"steps": 3}
    pair = next(real.pairs())
    assert np.array_equal(trained.denoise(pair.name, pair.noisy), pair.noisy)
    assert read_image(tmp_path / "runs" / "n2v" / "noisy" / "Sony_2.png").pixels.shape == (
        SIDE_PX,
        SIDE_PX,
        3,
    )


def test_a_command_that_fails_is_reported_by_its_last_line(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "print('begun'); raise SystemExit('no disk')"]
    with pytest.raises(EnvironmentFault, match="no disk"):
        run_logged(words, log=tmp_path / "log", cwd=tmp_path)
    usage = run_logged(
        [sys.executable, "-c", "import os; print(os.environ['A'])"],
        log=tmp_path / "log",
        cwd=tmp_path,
        environment={"A": "set"},
    )
    assert usage.seconds > 0 and usage.cpu_seconds > 0
    assert (tmp_path / "log").read_text().endswith("set\n")
