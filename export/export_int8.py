"""The files of an INT8 export: two graphs, the ranges that made them, and what each layer costs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..calibration.ranges import RANGES_NAME
from ..runtime.artifact import sha256_of_file, write_atomically
from .int8 import Quantized, quantize
from .report import Artifact
from .settings import ExportSettings
from .source import Source

LAYERS_NAME = "layers.json"


@dataclass(frozen=True)
class Quantization:
    """What a model file says of how it came to be INT8."""

    precision: str  # "int8" or "int8-cpu"
    description: dict[str, Any]
    ranges_sha256: str


def export_int8(
    source: Source,
    staging: Path,
    settings: ExportSettings,
    export_onnx: Callable[..., Artifact],
    say: Callable[[str], None],
) -> tuple[list[Artifact], list[tuple[str, ...]]]:
    """Write `model.int8-cpu.onnx`, `model.int8.onnx`, `ranges.json` and `layers.json`.

    Args:
        export_onnx: writes and verifies one graph; gives its artifact.

    Returns:
        The artifacts of the two graphs; rows of a table of the layers: name, loss in dB, the precisions
        that keep it in floats.

    Raises:
        UserError, ModelError: see `quantize`.
    """
    assert settings.int8 is not None
    quantized = quantize(source, settings.int8, say)
    quantized.ranges.save(staging / RANGES_NAME)
    write_atomically(staging / LAYERS_NAME, (json.dumps(quantized.to_dict(), indent=1) + "\n").encode())
    ranges_sha256 = sha256_of_file(staging / RANGES_NAME)
    artifacts = []
    for precision, bare in (("int8-cpu", quantized.cpu), ("int8", quantized.tensorrt)):
        what = Quantization(precision, quantized.description(precision), ranges_sha256)
        artifacts.append(
            export_onnx(source, bare, staging / f"model.{precision}.onnx", settings, say, quantized=what)
        )
    layers = _rows(quantized)
    _print(layers, quantized, say)
    return artifacts, layers


def _rows(quantized: Quantized) -> list[tuple[str, ...]]:
    return [
        (
            loss.layer,
            f"{loss.loss_db:+.3f}",
            ", ".join(name for name, choice in quantized.choices.items() if loss.layer in choice.kept),
        )
        for loss in quantized.losses
    ]


def _print(layers: list[tuple[str, ...]], quantized: Quantized, say: Callable[[str], None]) -> None:
    say("loss of PSNR by INT8 in one layer alone, dB:")
    for layer, loss, kept in layers:
        say(f"  {layer:24} {loss}" + (f"  stays in floats: {kept}" if kept else ""))
    for name, choice in quantized.choices.items():
        say(f"{name}: {len(choice.layers)} layers in INT8, loss {choice.loss_db:.3f} dB")
