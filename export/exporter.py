"""Export a model to a folder of verified files, all of them or none."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

from ..runtime.model_files import MODEL_ONNX
from ..runtime.system.console import Log
from ..runtime.system.files import sha256_of_file
from .engine import check_engine, choose_flavour, make_engine, open_profile
from .fp16_overflow import nodes_for_fp32
from .int8.export import export_int8
from .onnx.float16 import to_fp16
from .onnx.io_contract import check_sizes
from .report import ExportedFile, LayerRow, faults_of, write_report
from .settings import ExportSettings
from .source import Source
from .staging import staged_folder
from .tensorrt.profile import Profile, static_profile
from .triton import add_to_repository, check_repository
from .verify.speed import ms_per_megapixel
from .write_onnx import export_onnx

_logger = logging.getLogger(__name__)

FILES = (  # possible names of exported models
    "model.onnx", "model.fp16.onnx", "model.int8.onnx", "model.int8-cpu.onnx",
    "model.fp32.engine", "model.fp16.engine", "model.int8.engine",
)  # fmt: skip


def export_model(
    source: Source, folder: Path, settings: ExportSettings, log: Log = lambda _: None
) -> list[ExportedFile]:
    """Write `model.onnx`, further files by the settings, and `report.html` into `folder`.

    FP16 is `model.fp16.onnx`; INT8 is `model.int8.onnx` and `model.int8-cpu.onnx`, with `ranges.json` and
    `layers.json`. With a TensorRT, an engine is built from the narrowest precision.

    Returns:
        The ONNX files and the engine, `model.onnx` first.

    Raises:
        UserError: the settings do not fit the model, there is nothing to calibrate on, or a folder cannot be
            written.
        ModelError: the model cannot be FP16 or INT8.
        VerificationError: a file does not compute what the source computes.
        EnvironmentFault: a named target is not installed, or the engine could not be built.
    """
    flavour = choose_flavour(settings.target)
    check_settings(source, settings, flavour)
    layers: list[LayerRow] = []
    with staged_folder(folder) as staging:
        files = [export_onnx(source, source.bare, source.info, staging / MODEL_ONNX, settings, log)]
        source = _made_with(source, staging / MODEL_ONNX)
        fp32_nodes = nodes_for_fp32(source, log) if settings.fp16 or settings.int8 else {}
        if settings.fp16:
            half = to_fp16(source.bare, fp32=fp32_nodes)
            info = dataclasses.replace(source.info, precision="fp16")
            files.append(export_onnx(source, half, info, staging / "model.fp16.onnx", settings, log))
        if settings.int8:
            quantized, layers = export_int8(source, staging, settings, fp32_nodes, log)
            files += quantized
        if settings.verify:
            files = _with_speed(files)
        if flavour:
            best = next(file for file in reversed(files) if file.precision == settings.best_precision)
            files.append(_export_engine(source, best, flavour, settings, log))
        write_report(staging, files, source.info, layers)
        if settings.triton:
            _add_to_triton(source, _choose_served(files, flavour), settings.triton, settings, log)
    for fault in faults_of(files):
        _logger.warning(fault)
    return [dataclasses.replace(file, path=folder / file.path.name) for file in files]


def check_settings(source: Source, settings: ExportSettings, flavour: str | None) -> None:
    """Raise UserError, before any work, if the settings do not fit the model or the TensorRT."""
    check_sizes(source.info, tile_px=settings.tile_px, batch=settings.batch)
    check_engine(settings, flavour, settings.best_precision, dynamic=settings.dynamic)
    engine_profile(source, settings)
    if settings.triton:
        check_repository(settings.triton, settings.triton_name)
    overlap_px = source.info.default_halo_px
    if not settings.dynamic and settings.tile_px <= 2 * overlap_px:
        _logger.warning(
            f"tiles of {settings.tile_px} px are all overlap, which is {overlap_px} px on each side; "
            f"images larger than that need tiles of more than {2 * overlap_px} px"
        )


def _made_with(source: Source, model: Path) -> Source:
    """Return the source of the further files, which name the model.onnx that they belong to by its hash."""
    sources = {**source.info.sources, MODEL_ONNX: sha256_of_file(model)}
    return dataclasses.replace(source, info=dataclasses.replace(source.info, sources=sources))


def engine_profile(source: Source, settings: ExportSettings) -> Profile:
    """Return the shapes that an engine takes: one, or a range if dynamic."""
    channels = source.bare.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    if not settings.dynamic:
        return static_profile(settings.batch, settings.tile_px, settings.tile_px, channels)
    return open_profile(settings, source.info, channels)


def _with_speed(files: list[ExportedFile]) -> list[ExportedFile]:
    speeds = ms_per_megapixel([file.path for file in files])
    return [dataclasses.replace(f, ms_per_mp=speed) for f, speed in zip(files, speeds, strict=True)]


def _export_engine(
    source: Source, onnx: ExportedFile, flavour: str, settings: ExportSettings, log: Log
) -> ExportedFile:
    path = onnx.path.with_name(f"model.{onnx.precision}.engine")
    make_engine(onnx.path, path, flavour, engine_profile(source, settings), settings, log)
    return ExportedFile(path, onnx.precision, path.stat().st_size)


def _choose_served(files: list[ExportedFile], flavour: str | None) -> ExportedFile:
    """Choose the file for Triton: a TensorRT engine (not of TensorRT-RTX), else FP16 or FP32 ONNX."""
    if flavour == "tensorrt":
        return files[-1]
    precisions = {file.precision: file for file in files if file.path.suffix == ".onnx"}
    return precisions.get("fp16", precisions["fp32"])


def _add_to_triton(
    source: Source, file: ExportedFile, repository: Path, settings: ExportSettings, log: Log
) -> None:
    info = dataclasses.replace(source.info, precision=file.precision)
    folder = add_to_repository(repository, settings.triton_name, file.path, info, settings)
    log(f"{file.path.name} is version {folder.name} of '{settings.triton_name}' in {repository}")
