"""The wheel, installed outside the checkout, as `pip install noise2blur` would."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from n2b import __version__
from n2b.runtime import Image, read_image, write_image

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
PACKAGES = ("n2b", "runtime", "calibration", "export", "training")
COMMANDS = {
    "n2b-infer": "n2b.runtime", "n2b-export": "n2b.export", "n2b-train": "n2b.training",
    "n2b-doctor": "n2b.runtime.doctor",
}  # fmt: skip


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run([*map(str, command)], cwd=cwd, env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel that is built from it."""
    for package in ("build", "twine"):
        pytest.importorskip(package, reason=f"the package {package} is not installed")
    tree = tmp_path_factory.mktemp("tree") / "checkout"  # setuptools writes into it
    tree.mkdir()
    without = shutil.ignore_patterns("__pycache__")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, tree / name, ignore=without)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    dist = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", dist, tree, cwd=dist)
    return dist


@pytest.fixture(scope="module")
def installed(distributions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a new environment with the wheel; its dependencies are those of this environment."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    [wheel] = distributions.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python"]
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    # As a folder at the end of the path: unlike a .pth file's, its own .pth files are not read, so that the
    # checkout, installed there as editable, does not come with it
    [site] = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "bin"


def test_the_distributions_are_whole(distributions: Path) -> None:
    [wheel], [sdist] = distributions.glob("*.whl"), distributions.glob("*.tar.gz")
    assert wheel.name == f"noise2blur-{__version__}-py3-none-any.whl"
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist, cwd=distributions)
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("n2b/")}
    sources = {("n2b" / path.relative_to(ROOT)).as_posix() for name in PACKAGES[1:]
               for path in (ROOT / name).rglob("*.*") if "__pycache__" not in path.parts}  # fmt: skip
    assert held == sources | {"n2b/__init__.py", "n2b/py.typed"}
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "n2b/py.typed", "runtime/models/gaussian.onnx"} <= names


def test_the_package_is_imported_from_the_installation(installed: Path) -> None:
    script = "import n2b, n2b.runtime; print(n2b.__version__, n2b.__file__, n2b.runtime.__file__)"
    version, *files = run(installed / "python", "-c", script, cwd=installed).split()
    assert version == __version__
    assert all(Path(file).is_relative_to(installed.parent) for file in files)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_its_module(installed: Path, command: str) -> None:
    module = [installed / "python", "-m", COMMANDS[command]]
    for way in ([installed / command], module):
        assert run(*way, "--version", cwd=installed) == f"{command} {__version__}\n"
        assert f"{command} [OPTIONS]" in run(*way, "--help", cwd=installed)


def test_the_bundled_model_denoises(installed: Path, tmp_path: Path) -> None:
    noisy = np.random.default_rng(0).normal(128, 25, (48, 64, 3)).clip(0, 255).astype(np.uint8)
    write_image(tmp_path / "noisy.png", Image(noisy))
    run(installed / "n2b-infer", "noisy.png", "-o", "clean.png", "-m", "gaussian", cwd=tmp_path)
    assert read_image(tmp_path / "clean.png").pixels.std() < noisy.std() / 2
