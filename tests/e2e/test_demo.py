"""What `make demo` runs, with the bundled model."""

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
    height, width = read_image(sample_photographs()[0]).pixels.shape[:2]
    assert read_image(tmp_path / "demo.png").pixels.shape == (height, 3 * width, 3)
