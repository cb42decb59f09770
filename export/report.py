"""Report the files of an export as rows of a table, and as one HTML page that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..runtime.images.convert import middle_crop, to_uint8
from ..runtime.model_info import ModelInfo
from ..runtime.system.files import write_atomically
from ..training.report.figures import Figure, on_grey
from ..training.report.html import render
from .verify.verify import Agreement
from .verify.visible_artifacts import MAX_BANDING, MAX_SHIFT, VisibleArtifacts

REPORT = "report.html"
FAR_DB = 35.0  # PSNR to FP32, below which INT8 clips values that it was not calibrated on
COLUMNS = ("file", "precision", "MB", "to FP32", "largest", "loss", "ms/MP")
LEGEND = (
    "PSNR to the FP32 result and largest difference to it, loss of PSNR to clean images, milliseconds per "
    "megapixel in ONNX Runtime on this machine's CPU"
)
ARTIFACT_COLUMNS = (
    "file", "PSNR to clean, dB", "levels of a gradient", "shift of R, G, B, grey levels", "verdict",
)  # fmt: skip
_TEMPLATES = Path(__file__).parent / "templates"
_CROP_PX = 192
_AMPLIFICATION = 16


@dataclass(frozen=True)
class ExportedFile:
    """An exported file; `agreement` and `ms_per_mp` are None if it was not run here."""

    path: Path
    precision: str
    size_bytes: int
    agreement: Agreement | None = None
    ms_per_mp: float | None = None

    @property
    def artifacts(self) -> VisibleArtifacts | None:
        """Visible artifacts of the file's results; None if unknown."""
        return self.agreement.artifacts if self.agreement else None


class LayerRow(NamedTuple):
    """A row of the table of layers: name, loss by INT8 in dB, precisions that keep the layer in floats."""

    layer: str
    loss_db: str
    in_floats: str


def row_of(file: ExportedFile) -> tuple[str, ...]:
    """Return a file's cells, under COLUMNS."""
    agreement, artifacts = file.agreement, file.artifacts
    measured = ("not run" if file.path.suffix == ".engine" else "not verified", "", "")
    if agreement is not None:
        measured = (
            "equal" if agreement.largest_difference == 0 else f"{agreement.psnr_db:.1f} dB",
            f"{agreement.largest_difference * 255:.3g}/255",
            f"{round(artifacts.loss_db, 2) + 0.0:.2f} dB" if artifacts else "",  # 0.0: no -0.00
        )
    speed = "" if file.ms_per_mp is None else f"{file.ms_per_mp:.0f}"
    return (file.path.name, file.precision, f"{file.size_bytes / 1e6:.1f}", *measured, speed)


def faults_of(files: Sequence[ExportedFile]) -> list[str]:
    """Return a sentence for each visible artifact, poor agreement, and INT8 file that is not faster."""
    faults = []
    for file in files:
        faults += [f"{file.path.name}: {fault}" for fault in file.artifacts.faults] if file.artifacts else []
        if file.agreement and file.agreement.psnr_db < FAR_DB:
            faults.append(
                f"{file.path.name} is {file.agreement.psnr_db:.1f} dB from FP32 on {file.agreement.images}; "
                "calibrate on images of all kinds that it will process"
            )
    speeds = {file.precision: file.ms_per_mp for file in files if file.ms_per_mp}
    if speeds.get("int8-cpu", 0) > speeds.get("fp32", np.inf):
        faults.append("the INT8 file for CPUs is slower here than the FP32 one; use that")
    return faults


def legend(files: Sequence[ExportedFile]) -> str:
    """Return the meaning of the columns."""
    images = sorted({file.agreement.images for file in files if file.agreement})
    return f"{LEGEND}; {', '.join(images) or 'not verified'}"


def write_report(
    folder: Path, files: Sequence[ExportedFile], info: ModelInfo, layers: Sequence[LayerRow] = ()
) -> Path:
    """Write `folder`/report.html, and return its path.

    Raises:
        MissingPackageError: Jinja2 is not installed.
    """
    compared = [(file.path.name, file.artifacts) for file in files if file.artifacts]
    page = render(
        "report.html",
        _TEMPLATES,
        info=info,
        columns=COLUMNS,
        rows=[row_of(file) for file in files],
        legend=legend(files),
        artifact_columns=ARTIFACT_COLUMNS,
        artifact_rows=[_artifact_row(name, artifacts) for name, artifacts in compared],
        max_banding=MAX_BANDING,
        max_shift=MAX_SHIFT,
        compared=[(name, _figures(artifacts)) for name, artifacts in compared],
        layers=layers,
    )
    path = folder / REPORT
    write_atomically(path, page.encode(errors="backslashreplace"))
    return path


def _artifact_row(name: str, artifacts: VisibleArtifacts) -> tuple[str, ...]:
    return (
        name,
        f"{artifacts.psnr_clean_db:.2f} of {artifacts.reference_clean_db:.2f}",
        f"{artifacts.levels:.1%}",
        ", ".join(f"{value:+.3f}" for value in artifacts.shift),
        "; ".join(artifacts.faults) or "none visible",
    )


def _figures(artifacts: VisibleArtifacts) -> list[Figure]:
    noisy, result, expected = (
        np.ascontiguousarray(to_uint8(middle_crop(image, _CROP_PX)))
        for image in (artifacts.noisy, artifacts.result, artifacts.expected)
    )
    difference = on_grey(result.astype(np.int16) - expected, _AMPLIFICATION)
    return [
        Figure("noisy", noisy),
        Figure("output", result),
        Figure("FP32", expected),
        Figure(f"difference ×{_AMPLIFICATION}", difference),
    ]
