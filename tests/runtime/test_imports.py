"""n2b.runtime needs the base dependencies and an OpenCV, and asks for nothing before it is needed."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import n2b.runtime
import pytest

RUNTIME = Path(n2b.runtime.__file__).parent
LOADED = "print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"
HEAVY = {"torch", "onnx", "onnxruntime", "openvino", "cv2", "tensorrt", "tensorrt_rtx", "cuda", "pycuda"}
HEAVY |= {"tifffile", "h5py", "scipy", "websockets", "av", "pyvirtualcam"}


def modules() -> list[str]:
    """Every module of n2b.runtime, by the files that there are."""
    paths = (path.relative_to(RUNTIME).with_suffix("") for path in RUNTIME.rglob("*.py"))
    return sorted(".".join(["n2b", "runtime", *path.parts]).removesuffix(".__init__") for path in paths)


def requirements(name: str) -> set[str]:
    """A distribution and all that it requires, extras left out."""
    from packaging.requirements import Requirement

    found: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current in found:
            continue
        found.add(current)
        for text in distribution(current).requires or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found


def opencv_name() -> str:
    for name in ("opencv-python", "opencv-python-headless"):
        try:
            return distribution(name).metadata["Name"]
        except PackageNotFoundError:
            continue
    pytest.skip("OpenCV is installed, but not by pip")


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory):
    """bare_python(code) → its output, run where numpy, typer, OpenCV and n2b.runtime are all there is."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    site = folder / "site"
    for name in requirements("numpy") | requirements("typer") | requirements(opencv_name()):
        installed = distribution(name)
        for top in {file.parts[0] for file in installed.files or [] if file.parts[0] != ".."}:
            link = site / top
            site.mkdir(exist_ok=True)
            if not link.exists():
                link.symlink_to(str(installed.locate_file(top)))
    (site / "n2b").mkdir()
    (site / "n2b" / "runtime").symlink_to(RUNTIME, target_is_directory=True)
    scripts = "Scripts" if sys.platform == "win32" else "bin"

    def run(code: str) -> str:
        command = [str(folder / "venv" / scripts / "python"), "-B", "-c", code]
        environment = {"PYTHONPATH": str(site)}
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    return run


def test_every_module_imports_with_the_base_dependencies_and_opencv_alone(bare_python):
    assert "n2b.runtime.backends.tensorrt.backend" in modules()
    code = (
        f"import importlib as i, json; print(json.dumps([i.import_module(m).__name__ for m in {modules()}]))"
    )
    assert json.loads(bare_python(code)) == modules()


def test_the_bare_environment_is_bare(bare_python):
    code = "import importlib.util as u, json; print(json.dumps([n for n in {!r} if u.find_spec(n)]))"
    assert json.loads(bare_python(code.format(sorted(HEAVY)))) == ["cv2"]


def test_importing_the_package_pulls_in_nothing_heavy():
    code = (
        "import json, sys, n2b.runtime; print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not HEAVY & set(json.loads(ran.stdout))


def test_showing_the_help_pulls_in_nothing_heavy():
    code = (
        "import json, sys; sys.argv = ['n2b-infer', '--help']; from n2b.runtime import cli\n"
        "try: cli.main()\n"
        f"except SystemExit: {LOADED}"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not HEAVY & set(json.loads(ran.stdout.splitlines()[-1]))


def test_all_names_can_be_had():
    assert n2b.runtime.__all__ == sorted(n2b.runtime.__all__)
    for name in n2b.runtime.__all__:
        assert getattr(n2b.runtime, name).__name__ == name
        assert name in dir(n2b.runtime)


def test_errors_are_the_package_s_own():
    errors = importlib.import_module("n2b.runtime.errors")
    assert n2b.runtime.ModelError is errors.ModelError


def test_other_names_cannot():
    with pytest.raises(AttributeError, match="no attribute 'Denoizer'"):
        n2b.runtime.Denoizer  # noqa: B018
