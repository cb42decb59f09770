"""Run the demo of `make demo`, with the bundled model."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from n2b.runtime import read_image
from n2b.runtime.samples import sample_photographs

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


@pytest.mark.skipif(
    not sample_photographs(), reason="scikit-image, which has the photographs, is not installed"
)
def test_the_demo_removes_noise_and_shows_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(DEMO)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = re.search(r"before ([\d.]+) dB, after ([\d.]+) dB", done.stdout)
    assert found is not None
    before, after = map(float, found.groups())
    assert after > before + 6
    coffee = next(path for path in sample_photographs() if path.stem == "coffee")
    height, width = read_image(coffee).pixels.shape[:2]
    assert read_image(tmp_path / "demo" / "comparison.png").pixels.shape == (height, 3 * width, 3)
    noisy, clean = (
        {path.stem for path in (tmp_path / "demo" / name).iterdir()} for name in ("noisy", "clean")
    )
    assert "coffee" in noisy
    assert clean
    assert not noisy & clean
