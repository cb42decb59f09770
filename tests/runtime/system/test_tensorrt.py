from __future__ import annotations

from pathlib import Path

import pytest
from n2b.runtime.errors import MissingPackageError
from n2b.runtime.system import tensorrt as module
from n2b.runtime.system.tensorrt import is_installed, version_of


def test_type_stubs_alone_are_no_tensorrt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stubs = tmp_path / "stubs_only"
    stubs.mkdir()
    (stubs / "__init__.pyi").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(module._MODULES, "tensorrt", "stubs_only")
    assert not is_installed("tensorrt")
    with pytest.raises(
        MissingPackageError, match=r"tensorrt is not installed: pip install 'noise2blur\[tensorrt\]'"
    ):
        version_of("tensorrt")


def test_a_tensorrt_that_does_not_load_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_trt.py").write_text(
        "raise ImportError('libnvinfer.so.10: cannot open shared object')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(module._MODULES, "tensorrt", "broken_trt")
    assert is_installed("tensorrt")
    with pytest.raises(MissingPackageError, match=r"tensorrt cannot be loaded \(libnvinfer\.so\.10"):
        version_of("tensorrt")
