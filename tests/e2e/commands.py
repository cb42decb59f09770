"""Run n2b-export in tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from n2b.export.cli import main

WITHOUT_TORCH = """
import sys
for package in ("torch", "onnxscript", "lightning_fabric"):
    sys.modules[package] = None
from n2b.export.cli import main
main()
"""


def run_in(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run n2b-export in this process and return its exit status."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["n2b-export", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code
