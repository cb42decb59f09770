"""A model → its exported files, whole and verified, or none."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnx

from ..runtime.artifact import write_atomically
from ..runtime.console import warn
from ..runtime.errors import UserError
from .build_engine import FLAVOURS, BuildSettings, Profile, build_engine, is_installed, version_of
from .contract import add_contract, check_sizes
from .gpu import find_gpu
from .onnx_file import to_bytes
from .precision import to_fp16
from .settings import ExportSettings
from .source import Source
from .staging import staged_folder
from .triton import add_to_repository, check_repository
from .verify import Agreement, verify_onnx

FILES = ("model.onnx", "model.fp16.onnx", "model.fp32.engine", "model.fp16.engine")


@dataclass(frozen=True)
class Artifact:
    """An exported file; `agreement` is None when it was not run here."""

    path: Path
    precision: str
    size_bytes: int
    agreement: Agreement | None = None


def export_model(
    source: Source, folder: Path, settings: ExportSettings, say: Callable[[str], None] = lambda _: None
) -> list[Artifact]:
    """Write `model.onnx`, as asked `model.fp16.onnx`, and where possible an engine into `folder`.

    Args:
        source: what to export.
        folder: gets the files once all of them are written and verified.
        settings: what to make.
        say: hears what is being done, line by line.

    Raises:
        UserError: the settings do not fit the model, or a folder cannot be written.
        ModelError: the model cannot be FP16.
        VerificationError: a file does not compute what the source computes.
        EnvironmentFault: a target that was named is not installed, or the engine could not be built.
    """
    flavour = choose_flavour(settings.target)
    check_settings(source, settings)
    with staged_folder(folder) as staging:
        artifacts = [_export_onnx(source, source.bare, staging / "model.onnx", settings, say)]
        if settings.fp16:
            path = staging / "model.fp16.onnx"
            artifacts.append(_export_onnx(source, to_fp16(source.bare), path, settings, say))
        if flavour:
            artifacts.append(_export_engine(source, artifacts[-1], flavour, settings, say))
        if settings.triton:
            _serve(source, _choose_served(artifacts, flavour), settings.triton, settings, say)
    return [dataclasses.replace(artifact, path=folder / artifact.path.name) for artifact in artifacts]


def check_settings(source: Source, settings: ExportSettings) -> None:
    """Raise UserError, before any work is done, where the settings do not fit the model."""
    check_sizes(source.info, tile_px=settings.tile_px, batch=settings.batch)
    if settings.workspace_gib is not None and not 0 < settings.workspace_gib < 2**20:  # nor NaN
        raise UserError(f"a workspace of {settings.workspace_gib:g} GiB is none; name a positive number")
    if settings.triton:
        check_repository(settings.triton, settings.triton_name)
    halo_px = source.info.default_halo_px
    if not settings.dynamic and settings.tile_px <= 2 * halo_px:
        warn(
            f"tiles of {settings.tile_px} px leave nothing inside the halo of {halo_px} px on each side; "
            f"images larger than that need tiles of more than {2 * halo_px} px"
        )


def choose_flavour(target: str | None) -> str | None:
    """The TensorRT to build for; None: no engine.

    Raises:
        MissingPackageError: the one that was named is not installed.
    """
    if target == "none":
        return None
    if target is None:
        return next((flavour for flavour in FLAVOURS if is_installed(flavour)), None)
    version_of(target)  # loads it, or says why not
    return target


def _export_onnx(
    source: Source, bare: onnx.ModelProto, path: Path, settings: ExportSettings, say: Callable[[str], None]
) -> Artifact:
    model, info = add_contract(
        bare,
        source.info,
        io=settings.io,
        tile_px=settings.tile_px,
        batch=settings.batch,
        dynamic=settings.dynamic,
    )
    write_atomically(path, to_bytes(model))
    agreement = None
    if settings.verify:
        say(f"verifying {path.name} against {source.path}")
        agreement = verify_onnx(path, source.reference, source=str(source.path))
    return Artifact(path, info.precision, path.stat().st_size, agreement)


def _export_engine(
    source: Source, made_from: Artifact, flavour: str, settings: ExportSettings, say: Callable[[str], None]
) -> Artifact:
    path = made_from.path.with_name(f"model.{made_from.precision}.engine")
    version = version_of(flavour)
    say(f"building {path.name} with {flavour} {version}")
    build = BuildSettings(
        flavour=flavour,
        profile=engine_profile(source, settings),
        workspace_gib=settings.workspace_gib,
        timing_cache=_timing_cache(flavour, version, settings.timing_cache),
        verbose=settings.verbose,
    )
    build_engine(made_from.path, path, build)
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
    """The shapes that an engine takes: one, or with `dynamic` up to twice the tile's height and width."""
    channels = source.bare.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    tile_px, multiple = settings.tile_px, source.info.size_multiple_px
    best = (settings.batch, tile_px, tile_px, channels)
    if not settings.dynamic:
        return Profile(best, best, best)
    return Profile(
        (1, multiple, multiple, channels), best, (settings.batch, 2 * tile_px, 2 * tile_px, channels)
    )


def _timing_cache(flavour: str, version: str, named: Path | None) -> Path | None:
    if flavour != "tensorrt":
        if named is not None:
            warn(f"{flavour} keeps no timing cache: {named} is not used")
        return None
    if named is not None:
        return named
    gpu = find_gpu()
    capability = gpu.compute_capability if gpu else "unknown"
    return _cache_folder() / f"tensorrt-{version}-sm{capability.replace('.', '')}.timing"


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "n2b"
