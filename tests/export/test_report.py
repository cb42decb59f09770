from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from n2b.export.report import COLUMNS, ExportedFile, LayerRow, faults_of, row_of, write_report
from n2b.export.verify.verify import Agreement
from n2b.export.verify.visible_artifacts import VisibleArtifacts, gradient, measure_artifacts
from n2b.runtime.model_info import ModelInfo


def artifacts(**changes: object) -> VisibleArtifacts:
    image = np.random.default_rng(0).integers(0, 256, (64, 80, 3), np.uint8)
    sound = VisibleArtifacts(30.1, 30.15, 1.0, (0.01, -0.02, 0.0), image, image, image)
    return dataclasses.replace(sound, **changes)


def exported(
    precision: str = "int8", seen: VisibleArtifacts | None = None, ms: float | None = 120.4
) -> ExportedFile:
    agreement = Agreement(52.3, 4 / 255, "3 photographs", artifacts=seen)
    return ExportedFile(Path(f"model.{precision}.onnx"), precision, 1_234_567, agreement, ms)


def test_a_row_has_what_the_columns_say() -> None:
    row = row_of(exported(seen=artifacts()))
    assert row == ("model.int8.onnx", "int8", "1.2", "52.3 dB", "4/255", "0.05 dB", "120")
    assert len(row) == len(COLUMNS)
    assert row_of(exported(seen=artifacts(psnr_clean_db=30.1504)))[5] == "0.00 dB"
    engine = ExportedFile(Path("model.int8.engine"), "int8", 10**6)
    assert row_of(engine)[3:] == ("not run", "", "", "")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"levels": 0.8}, "80% of its levels"),
        ({"levels": 1.2}, "120% of its levels"),
        ({"shift": (0.0, -0.3, 0.1)}, "colours shift by -0.30"),
    ],
)
def test_visible_artifacts_are_reported(changes: dict[str, object], words: str | None) -> None:
    faults = faults_of([exported(seen=artifacts(**changes))])
    assert len(faults) == (words is not None)
    assert all(words in fault and "model.int8.onnx" in fault for fault in faults if words)


def test_a_result_far_from_fp32_is_said() -> None:
    far = dataclasses.replace(exported(), agreement=Agreement(24.0, 0.4, "3 photographs"))
    assert "24.0 dB from FP32 on 3 photographs; calibrate on" in faults_of([far])[0]


def test_an_int8_file_that_is_slower_is_said() -> None:
    assert not faults_of([exported("fp32", ms=100), exported("int8-cpu", ms=50)])
    assert "slower" in faults_of([exported("fp32", ms=100), exported("int8-cpu", ms=150)])[0]


def test_the_page_needs_no_network_and_has_the_images(tmp_path: Path) -> None:
    rows = [LayerRow("up.0", "+0.031", "int8-cpu")]
    path = write_report(tmp_path, [exported(seen=artifacts())], ModelInfo("unet"), rows)
    page = path.read_text(encoding="utf-8")
    assert not re.search(r"https?://|<script|<link", page)
    assert page.count("data:image/png;base64,") == 4
    for text in (
        "model.int8.onnx",
        "52.3 dB",
        "difference ×16",
        "30.10 of 30.15",
        "up.0",
        "+0.031",
        "none visible",
    ):
        assert text in page


def test_bands_and_shifts_are_measured() -> None:
    clean = np.stack([gradient(64, 96)] * 3)
    expected = np.rint(255 * clean).astype(np.uint8)
    banded = expected.copy()
    banded[-1] = expected[-1] // 8 * 8
    banded[:-1] = expected[:-1] + 1
    seen = measure_artifacts(expected, banded, expected, clean[:-1])
    assert seen.levels < 0.3
    assert seen.shift == pytest.approx((1, 1, 1))
    assert seen.reference_clean_db > seen.psnr_clean_db
    assert len(seen.faults) == 2


def test_the_gradient_is_smooth() -> None:
    sky = 255 * gradient(256, 288)
    assert np.abs(np.diff(sky, axis=0)).max() < 1 and np.abs(np.diff(sky, axis=1)).max() < 1
    assert sky.min() > 0 and sky.max() < 255
