"""TensorRT and TensorRT-RTX are found, or what is missing is named."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from n2b.runtime.errors import MissingPackageError
from n2b.runtime.system.tensorrt import is_installed, version_of


@pytest.fixture
def site_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder that is searched for packages."""
    for name in ("tensorrt", "cv2"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    return tmp_path


def test_type_stubs_alone_are_no_tensorrt(site_packages: Path) -> None:
    (site_packages / "tensorrt").mkdir()
    (site_packages / "tensorrt" / "__init__.pyi").touch()
    assert not is_installed("tensorrt")
    with pytest.raises(
        MissingPackageError, match=r"tensorrt is not installed: pip install 'noise2blur\[tensorrt\]'"
    ):
        version_of("tensorrt")


def test_a_tensorrt_that_does_not_load_says_why(site_packages: Path) -> None:
    (site_packages / "tensorrt.py").write_text(
        "raise ImportError('libnvinfer.so.10: cannot open shared object')"
    )
    assert is_installed("tensorrt")
    with pytest.raises(MissingPackageError, match=r"tensorrt cannot be loaded \(libnvinfer\.so\.10"):
        version_of("tensorrt")
