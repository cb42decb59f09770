"""An installation gets what is in the tree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

tomllib: Any = pytest.importorskip("tomllib", reason="tomllib came with Python 3.11")

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_folder_with_source_is_packaged() -> None:
    folders = {
        "n2b." + ".".join(init.parent.relative_to(ROOT).parts)
        for top in ("runtime", "calibration", "export", "training")
        for init in (ROOT / top).rglob("__init__.py")
    }
    assert {"n2b", *folders} == set(PROJECT["tool"]["setuptools"]["packages"])


def test_the_live_pages_files_are_packaged() -> None:
    preview = ROOT / "runtime" / "preview"
    packaged = {path for pattern in PROJECT["tool"]["setuptools"]["package-data"]["n2b.runtime.preview"]
                for path in preview.glob(pattern)}  # fmt: skip
    assert packaged == {path for path in (preview / "page").iterdir() if path.is_file()}
    assert preview / "page" / "page.html" in packaged


def test_every_bundled_model_has_its_card() -> None:
    models = ROOT / "runtime" / "models"
    names = {path.name.partition(".")[0] for path in models.glob("*.onnx")}
    assert names
    assert names == {path.stem for path in models.glob("*.md")}
    for name in names:  # in FP32, and in INT8 for CPUs
        assert {path.name for path in models.glob(f"{name}.*onnx")} == {
            f"{name}.onnx",
            f"{name}.int8-cpu.onnx",
        }
