"""The benchmark of a GPU, where there may be none: stages with limits, engines built, wheels in parts."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from n2b.runtime.system.gpu import find_gpu
from n2b.runtime.system.tensorrt import is_installed

from benchmarks.gpu.__main__ import Stage, card_name, run_stage, stages_for
from benchmarks.gpu.engines import compare
from benchmarks.noisy_images import add_noise, clean_image

ROOT = Path(__file__).parents[2]


def script(name: str) -> ModuleType:
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), str(ROOT / "scripts" / name))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def stage(code: str) -> Stage:
    return Stage("one", "One", (sys.executable, "-c", code), 60)


def test_a_stage_s_output_is_kept_with_its_status(tmp_path: Path) -> None:
    state = run_stage(stage("print('measured'); raise SystemExit(3)"), tmp_path / "log", 60)
    assert state.startswith("Exit status 3 after")
    assert (tmp_path / "log").read_text() == "measured\n"


def test_a_stage_that_is_cut_off_leaves_what_it_printed(tmp_path: Path) -> None:
    code = "import time; print('first row'); time.sleep(1000)"
    assert run_stage(stage(code), tmp_path / "log", 10) == "Cut off after 10 s."
    assert (tmp_path / "log").read_text() == "first row\n"


def test_without_time_a_stage_is_not_run(tmp_path: Path) -> None:
    assert run_stage(stage("raise SystemExit"), tmp_path / "log", 0) == "Not run: no time was left."


def test_the_tests_of_a_gpu_are_all_among_the_stage_s() -> None:
    """Each file with a test marked gpu is collected by the stage."""
    about_skips = {Path(__file__), ROOT / "tests/test_no_skips.py"}
    tests = set((ROOT / "tests").rglob("test_*.py")) - about_skips
    marked = {path for path in tests if "pytest.mark.gpu" in path.read_text()}
    (command,) = (one.command for one in stages_for(Path("work"), "cuda") if one.name == "tests")
    places = [ROOT / word for word in command if word.startswith("tests/")]
    assert all(place.exists() for place in places)
    missing = {path for path in marked if not any(path == place or place in path.parents for place in places)}
    assert marked and not missing


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("NVIDIA H100 80GB HBM3", "h100-80gb-hbm3"),
        ("Orin", "orin"),
        ("NVIDIA GeForce RTX 4090", "geforce-rtx-4090"),
    ],
)
def test_the_page_is_named_after_the_card(name: str, expected: str) -> None:
    assert card_name(name) == expected


@pytest.mark.skipif(not is_installed("tensorrt-rtx"), reason="needs the package tensorrt-rtx")
def test_an_engine_is_built_and_run_or_the_reason_stands_in_its_row(tmp_path: Path) -> None:
    noisy = add_noise(clean_image(96, 128))
    rows = list(compare("camera", "tensorrt-rtx", "fp32", tmp_path, 64, noisy, np.zeros_like(noisy)))
    assert list(tmp_path.glob("*.engine"))
    assert [row.startswith("camera tensorrt-rtx fp32") for row in rows] == [True, True]
    if find_gpu() is None:
        assert "cuda-bindings  not run: " in rows[0]


@pytest.mark.parametrize("sizes", [(10, 70, 5), (50,), (50, 50), (1, 1, 1), (173,)])
def test_wheels_in_parts_are_joined_again(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    wheels = [tmp_path / f"package{index}-1.0-py3-none-any.whl" for index in range(len(sizes))]
    for wheel, size in zip(wheels, sizes, strict=True):
        wheel.write_bytes(random.bytes(size))
    parts = script("gpu-wheels").divide(wheels, tmp_path / "parts", 50)
    folders = sorted((tmp_path / "parts").iterdir())
    assert len(parts) == len(folders) == -(-sum(sizes) // 50)
    assert all(sum(path.stat().st_size for path in folder.iterdir()) <= 50 for folder in folders)
    joined = script("gpu-install").join(tmp_path / "parts", tmp_path / "joined")
    assert {path.name: path.read_bytes() for path in joined} == {
        path.name: path.read_bytes() for path in wheels
    }


def test_a_missing_piece_is_named(tmp_path: Path) -> None:
    wheel = tmp_path / "large-1.0-py3-none-any.whl"
    wheel.write_bytes(bytes(150))
    script("gpu-wheels").divide([wheel], tmp_path / "parts", 50)
    (tmp_path / "parts/part-2" / f"{wheel.name}.2").unlink()
    with pytest.raises(SystemExit, match=r"large-1\.0-py3-none-any\.whl: piece 2 is missing"):
        script("gpu-install").join(tmp_path / "parts", tmp_path / "joined")
