"""A model → its exported files, whole and verified, or none."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path

from .engine import choose_flavour, make_engine, open_profile
from .fp16_overflow import nodes_for_fp32
from .int8.export import export_int8
from .onnx.float16 import to_fp16
from .onnx.io_contract import check_sizes
from .report import Artifact, faults_of, write_report
from .settings import ExportSettings
from .source import Source
from .staging import staged_folder
from .tensorrt.options import check_options
from .tensorrt.profile import Profile, static_profile
from .triton import add_to_repository, check_repository
from .verify.speed import ms_per_megapixel
from .write_onnx import export_onnx

_logger = logging.getLogger(__name__)

FILES = (  # the names that artifacts may have
    "model.onnx", "model.fp16.onnx", "model.int8.onnx", "model.int8-cpu.onnx",
    "model.fp32.engine", "model.fp16.engine", "model.int8.engine",
)  # fmt: skip


def export_model(
    source: Source, folder: Path, settings: ExportSettings, say: Callable[[str], None] = lambda _: None
) -> list[Artifact]:
    """Write `model.onnx`, what else is asked for, and `report.html` into `folder`.

    FP16 is `model.fp16.onnx`; INT8 is `model.int8.onnx` and `model.int8-cpu.onnx`, with `ranges.json` and
    `layers.json`; where there is a TensorRT, an engine is built of the last of FP32, FP16 and INT8 for it.

    Args:
        source: what to export.
        folder: gets the files once all of them are written and verified.
        settings: what to make.
        say: hears what is being done, line by line.

    Returns:
        The ONNX files and the engine, `model.onnx` first.

    Raises:
        UserError: the settings do not fit the model, there is nothing to calibrate on, or a folder cannot be
            written.
        ModelError: the model cannot be FP16 or INT8.
        VerificationError: a file does not compute what the source computes.
        EnvironmentFault: a target that was named is not installed, or the engine could not be built.
    """
    flavour = choose_flavour(settings.target)
    check_settings(source, settings, flavour)
    layers: list[tuple[str, ...]] = []
    with staged_folder(folder) as staging:
        artifacts = [export_onnx(source, source.bare, source.info, staging / "model.onnx", settings, say)]
        if settings.fp16:
            half = to_fp16(source.bare, fp32=nodes_for_fp32(source, say))
            info = dataclasses.replace(source.info, precision="fp16")
            artifacts.append(export_onnx(source, half, info, staging / "model.fp16.onnx", settings, say))
        if settings.int8:
            quantized, layers = export_int8(source, staging, settings, say)
            artifacts += quantized
        if settings.verify:
            artifacts = _with_speed(artifacts)
        if flavour:
            best = next(a for a in reversed(artifacts) if a.precision == _engine_precision(settings))
            artifacts.append(_export_engine(source, best, flavour, settings, say))
        write_report(staging, artifacts, source.info, layers)
        if settings.triton:
            _serve(source, _choose_served(artifacts, flavour), settings.triton, settings, say)
    for fault in faults_of(artifacts):
        _logger.warning(fault)
    return [dataclasses.replace(artifact, path=folder / artifact.path.name) for artifact in artifacts]


def check_settings(source: Source, settings: ExportSettings, flavour: str | None) -> None:
    """Raise UserError, before any work is done, where the settings do not fit the model or the TensorRT."""
    check_sizes(source.info, tile_px=settings.tile_px, batch=settings.batch)
    check_options(
        settings.builder,
        flavour=flavour,
        precision=_engine_precision(settings),
        dynamic=settings.dynamic,
        shapes=settings.shapes,
        timing_cache=settings.timing_cache,
        workspace_gib=settings.workspace_gib,
    )
    engine_profile(source, settings)
    if settings.triton:
        check_repository(settings.triton, settings.triton_name)
    halo_px = source.info.default_halo_px
    if not settings.dynamic and settings.tile_px <= 2 * halo_px:
        _logger.warning(
            f"tiles of {settings.tile_px} px leave nothing inside the halo of {halo_px} px on each side; "
            f"images larger than that need tiles of more than {2 * halo_px} px"
        )


def _engine_precision(settings: ExportSettings) -> str:
    return "int8" if settings.int8 else "fp16" if settings.fp16 else "fp32"


def _with_speed(artifacts: list[Artifact]) -> list[Artifact]:
    speeds = ms_per_megapixel([artifact.path for artifact in artifacts])
    return [dataclasses.replace(a, ms_per_mp=speed) for a, speed in zip(artifacts, speeds, strict=True)]


def _export_engine(
    source: Source, made_from: Artifact, flavour: str, settings: ExportSettings, say: Callable[[str], None]
) -> Artifact:
    path = made_from.path.with_name(f"model.{made_from.precision}.engine")
    make_engine(made_from.path, path, flavour, engine_profile(source, settings), settings, say)
    return Artifact(path, made_from.precision, path.stat().st_size)


def _choose_served(artifacts: list[Artifact], flavour: str | None) -> Artifact:
    """What Triton serves: an engine of TensorRT (it runs none of TensorRT-RTX), else ONNX, best in FP16."""
    if flavour == "tensorrt":
        return artifacts[-1]
    precisions = {artifact.precision: artifact for artifact in artifacts if artifact.path.suffix == ".onnx"}
    return precisions.get("fp16", precisions["fp32"])


def _serve(
    source: Source, artifact: Artifact, repository: Path, settings: ExportSettings, say: Callable[[str], None]
) -> None:
    info = dataclasses.replace(source.info, precision=artifact.precision)
    folder = add_to_repository(repository, settings.triton_name, artifact.path, info, settings)
    say(f"{artifact.path.name} is version {folder.name} of '{settings.triton_name}' in {repository}")


def engine_profile(source: Source, settings: ExportSettings) -> Profile:
    """The shapes that an engine takes: one, or with `dynamic` a range."""
    channels = source.bare.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    if not settings.dynamic:
        return static_profile(settings.batch, settings.tile_px, settings.tile_px, channels)
    return open_profile(settings, source.info, channels)
