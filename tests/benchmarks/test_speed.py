"""The benchmarks of speed run, and what they print is of what they ran."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from n2b.runtime.samples import sample_photographs

from benchmarks.noisy_images import add_noise, clean_image

pytestmark = pytest.mark.timeout(300)  # whole programs: two minutes do not suffice on a busy machine

ROOT = Path(__file__).parents[2]
needs_photographs = pytest.mark.skipif(not sample_photographs(), reason="scikit-image is not installed")


def run(*arguments: str) -> str:
    command = [sys.executable, "-m", *arguments]
    environment = {**os.environ, "TORCH_COMPILE_DISABLE": "1"}  # else it builds C++ for half a minute
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_photographs
def test_images_fill_any_size_and_carry_the_noise_asked_for():
    clean = clean_image(700, 1100)
    assert clean.shape == (700, 1100, 3)
    np.testing.assert_array_equal(clean[512:540], clean[484:512][::-1])  # mirrored at the border
    noise = add_noise(np.full((300, 300, 3), 128, np.uint8), sigma=10).astype(float) - 128
    assert abs(noise.std() - 10) < 0.2 and abs(noise.mean()) < 0.1


@needs_photographs
def test_stills_are_timed_beside_a_bare_session():
    out = run(
        "benchmarks.inference_speed", "stills", "--model", "camera", "--megapixels", "0.02", "--rounds", "1"
    )
    rows = {
        line[:50].strip(): line[50:].split()
        for line in out.splitlines()
        if "MP/s" not in line and line[50:].strip()
    }
    bare, denoiser = (
        next(rows[name] for name in rows if name.startswith(key)) for key in ("bare", "Denoiser")
    )
    assert bare[2] == "1.00"
    assert float(denoiser[0]) == pytest.approx(float(bare[0]), abs=0.1)  # the same PSNR, so the same image
    assert any(name.startswith("OpenCV") for name in rows) and any(name.startswith("BM3D") for name in rows)


@needs_photographs
def test_the_gpu_benchmark_s_own_code_runs_on_a_cpu():
    out = run("benchmarks.gpu.speed", "--device", "cpu", "--size", "192x128")
    assert "GB/s" in out and "TFLOP/s" in out
    assert "gaussian, onnxruntime, fp32, 1 tiles" in out and "PyTorch eager" in out
