"""The files of an INT8 export: two graphs, the ranges that made them, and what each layer costs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

from ...calibration.ranges import RANGES_NAME
from ...runtime.system.files import sha256_of_file, write_atomically
from ..report import Artifact
from ..settings import ExportSettings
from ..source import Source
from ..write_onnx import export_onnx
from .quantize import Quantized, quantize

LAYERS_NAME = "layers.json"


def export_int8(
    source: Source, staging: Path, settings: ExportSettings, say: Callable[[str], None]
) -> tuple[list[Artifact], list[tuple[str, ...]]]:
    """Write `model.int8-cpu.onnx`, `model.int8.onnx`, `ranges.json` and `layers.json`.

    Returns:
        The artifacts of the two graphs; rows of a table of the layers: name, loss in dB, the precisions
        that keep it in floats.

    Raises:
        UserError, ModelError, VerificationError: see `quantize` and `export_onnx`.
    """
    assert settings.int8 is not None
    quantized = quantize(source, settings.int8, say)
    quantized.ranges.save(staging / RANGES_NAME)
    write_atomically(staging / LAYERS_NAME, (json.dumps(quantized.to_dict(), indent=1) + "\n").encode())
    sources = source.info.sources | {RANGES_NAME: sha256_of_file(staging / RANGES_NAME)}
    artifacts = []
    for precision, bare in (("int8-cpu", quantized.cpu), ("int8", quantized.tensorrt)):
        calibration = quantized.description(precision)
        info = dataclasses.replace(source.info, precision=precision, calibration=calibration, sources=sources)
        path = staging / f"model.{precision}.onnx"
        artifacts.append(export_onnx(source, bare, info, path, settings, say))
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
