"""What an export made, as a table on the console and one HTML page that needs no network."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..runtime.model_info import ModelInfo
from ..runtime.system.files import write_atomically
from ..training.report.figures import data_uri, encode_png, on_grey
from ..training.report.template import PAGE, STYLE
from .verify.verify import Agreement
from .verify.visible_artifacts import MOST_BANDING, MOST_SHIFT

REPORT = "report.html"
FAR_DB = 35.0  # to the FP32 result; under it INT8 clips what it was not calibrated on
COLUMNS = ("file", "precision", "MB", "to FP32", "largest", "loss", "ms/MP")
LEGEND = (
    "PSNR to the FP32 result and largest difference to it, loss of PSNR to clean pictures, milliseconds per "
    "megapixel in ONNX Runtime on this machine's CPU"
)
_CROP_PX = 192
_AMPLIFIED = 16


@dataclass(frozen=True)
class Artifact:
    """An exported file; `agreement` and `ms_per_mp` are None when it was not run here."""

    path: Path
    precision: str
    size_bytes: int
    agreement: Agreement | None = None
    ms_per_mp: float | None = None


def row_of(artifact: Artifact) -> tuple[str, ...]:
    """An artifact's cells, under COLUMNS."""
    agreement = artifact.agreement
    measured = ("not run" if artifact.path.suffix == ".engine" else "not verified", "", "")
    if agreement is not None:
        measured = (
            "equal" if agreement.largest_difference == 0 else f"{agreement.psnr_db:.1f} dB",
            f"{agreement.largest_difference * 255:.3g}/255",
            f"{round(agreement.look.loss_db, 2) + 0.0:.2f} dB" if agreement.look else "",  # 0.0: no -0.00
        )
    speed = "" if artifact.ms_per_mp is None else f"{artifact.ms_per_mp:.0f}"
    size = f"{artifact.size_bytes / 1e6:.1f}"
    return (artifact.path.name, artifact.precision, size, *measured, speed)


def faults_of(artifacts: Sequence[Artifact]) -> list[str]:
    """What a viewer would see of rounding, and what INT8 is not worth; a sentence each."""
    faults = []
    for artifact in artifacts:
        agreement = artifact.agreement
        look = agreement.look if agreement else None
        faults += [f"{artifact.path.name}: {fault}" for fault in look.faults] if look else []
        if agreement and agreement.psnr_db < FAR_DB:
            faults.append(
                f"{artifact.path.name} is {agreement.psnr_db:.1f} dB from FP32 on {agreement.pictures}; "
                "calibrate on images of all kinds that it will see"
            )
    speeds = {artifact.precision: artifact.ms_per_mp for artifact in artifacts if artifact.ms_per_mp}
    if speeds.get("int8-cpu", 0) > speeds.get("fp32", np.inf):
        faults.append("the INT8 file for CPUs is slower here than the FP32 one; use that")
    return faults


def legend(artifacts: Sequence[Artifact]) -> str:
    """What the columns mean."""
    pictures = sorted({artifact.agreement.pictures for artifact in artifacts if artifact.agreement})
    return f"{LEGEND}; {', '.join(pictures) or 'not verified'}"


def write_report(
    folder: Path, artifacts: Sequence[Artifact], info: ModelInfo, layers: Sequence[tuple[str, ...]]
) -> Path:
    """Write `folder`/report.html.

    Args:
        artifacts: the files, the source's FP32 first.
        info: of the model.
        layers: rows of the layers' table, if there is INT8.
    """
    title = f"Export of {info.architecture}"
    noise = info.trained.get("noise", "unknown")
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p class=caption>Trained on noise {html.escape(str(noise))}; {info.parameters:,} parameters, "
        f"{info.flops_per_pixel / 1e3:.0f} kFLOP a pixel.</p>",
        _table(COLUMNS, [row_of(artifact) for artifact in artifacts]),
        f"<p class=caption>{html.escape(legend(artifacts))}.</p>",
        _looks(artifacts),
        *(_pictures(artifact) for artifact in artifacts if artifact.agreement and artifact.agreement.look),
    ]
    if layers:
        parts += [
            "<section><h2>What INT8 costs in each layer alone</h2>",
            _table(("layer", "loss of PSNR, dB", "stays in floats"), layers),
            "</section>",
        ]
    page = PAGE.format(title=html.escape(title), style=STYLE, body="\n".join(parts))
    path = folder / REPORT
    write_atomically(path, page.encode())
    return path


def _looks(artifacts: Sequence[Artifact]) -> str:
    rows = []
    for artifact in artifacts:
        if artifact.agreement and (look := artifact.agreement.look):
            shift = ", ".join(f"{value:+.3f}" for value in look.shift)
            clean = f"{look.psnr_clean_db:.2f} of {look.reference_clean_db:.2f}"
            verdict = "; ".join(look.faults) or "nothing to be seen"
            rows.append((artifact.path.name, clean, f"{look.levels:.1%}", shift, verdict))
    if not rows:
        return ""
    columns = (
        "file",
        "PSNR to clean, dB",
        "levels of a gradient",
        "shift of R, G, B, grey levels",
        "verdict",
    )
    return (
        "<section><h2>What a viewer would see</h2>"
        + _table(columns, rows)
        + "<p class=caption>PSNR to clean pictures stands beside FP32's on the same ones; what has FP16 in it"
        " may be run on smaller ones. A smooth gradient keeps its number of distinct levels within"
        f" {MOST_BANDING:.0%}, and no channel's mean moves by more than {MOST_SHIFT:g} grey levels.</p>"
        "</section>"
    )


def _pictures(artifact: Artifact) -> str:
    assert artifact.agreement and artifact.agreement.look
    look = artifact.agreement.look
    noisy, result, expected = (_crop(image) for image in (look.noisy, look.result, look.expected))
    amplified = on_grey(result.astype(np.int16) - expected, _AMPLIFIED)
    figures = "".join(
        f"<figure><img class=crop alt='{caption}' src='{data_uri(encode_png(pixels))}'>"
        f"<figcaption>{caption}</figcaption></figure>"
        for caption, pixels in (
            ("noisy", noisy),
            ("output", result),
            ("FP32", expected),
            (f"difference ×{_AMPLIFIED}", amplified),
        )
    )
    name = html.escape(artifact.path.name)
    return f"<section><h2>{name}</h2><div class=row style='--desk:4;--phone:2'>{figures}</div></section>"


def _crop(image: np.ndarray) -> np.ndarray:
    """The middle of a picture, uint8."""
    if image.dtype != np.uint8:
        image = np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)
    height, width = (min(side, _CROP_PX) for side in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return np.ascontiguousarray(image[top : top + height, left : left + width])


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(column)}" for column in columns)
    body = "".join(
        "<tr><th class=name>" + html.escape(row[0]) + "".join(f"<td>{html.escape(cell)}" for cell in row[1:])
        for row in rows
    )
    return f"<div class=scroll><table><thead><tr>{head}</thead><tbody>{body}</tbody></table></div>"
