"""Define the options of an engine's builder, and check which flavour of TensorRT has them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ...runtime.errors import UserError
from ...runtime.system.options import changed_options, option
from .profile import Shapes

LEVELS = range(6)
ENGINE_PANEL = "Engine"
_engine = partial(option, ENGINE_PANEL)
DLA_VERSIONS = "TensorRT 10.0 to 10.7 have DLA on an Orin, 11.4 on an AGX Orin"

# Options of one flavour only, with what the other does instead
_ONLY_TENSORRT = {
    "--builder-level": "it builds the same engine at every level",
    "--hardware-compat": "its engines run on Ampere and later as they are; --portable adds Turing",
    "--version-compat": "build the engine again for each version",
    "--dla": DLA_VERSIONS,
    "--timing-cache": "it measures no kernels while it builds",
}
_ONLY_RTX = {"--portable": "--hardware-compat makes its engines run on Ampere and later"}


@dataclass(frozen=True)
class BuilderOptions:
    """Options of an engine's builder; None: TensorRT's default."""

    level: int | None = _engine(
        None, "Effort of TensorRT's search for fast kernels.", name="--builder-level", metavar="0..5"
    )
    hardware_compat: bool = _engine(
        False, "TensorRT: run on every GPU from Ampere on.", name="--hardware-compat"
    )
    version_compat: bool = _engine(False, "TensorRT: also run with later versions.", name="--version-compat")
    dla: int | None = _engine(
        None, "TensorRT: DLA core to use; the GPU runs unsupported layers.", metavar="N"
    )
    portable: bool = _engine(False, "TensorRT-RTX: run on every GPU that it supports.", name="--portable")


def check_options(
    options: BuilderOptions,
    *,
    flavour: str | None,
    precision: str,
    dynamic: bool,
    shapes: Shapes,
    timing_cache: Path | None,
    workspace_gib: float | None,
) -> None:
    """Raise UserError, before anything is built, if the options conflict.

    Args:
        flavour: TensorRT that builds; None: there will be no engine.
    """
    if workspace_gib is not None and not 0 < workspace_gib < 2**20:  # nor NaN
        raise UserError(f"a workspace of {workspace_gib:g} GiB is impossible; name a positive number")
    named_shapes, named = list(changed_options(shapes)), list(changed_options(options))
    if named_shapes and not dynamic:
        raise UserError(f"{named_shapes[0]} is for engines of open size; add --dynamic")
    if flavour is None:
        if unused := [*named, *named_shapes]:
            raise UserError(
                f"{unused[0]} is for engines, and none is built; install TensorRT, or name a --target"
            )
        return
    lacking = _ONLY_TENSORRT if flavour == "tensorrt-rtx" else _ONLY_RTX
    for name in [*named, *(["--timing-cache"] if timing_cache else [])]:
        if name in lacking:
            raise UserError(f"{flavour} has no {name}; {lacking[name]}")
    if options.level is not None and options.level not in LEVELS:
        raise UserError(f"there is no builder level {options.level}; choose one of 0 to {LEVELS[-1]}")
    if options.dla is not None:
        _check_dla(options.dla, precision, dynamic)


def _check_dla(core: int, precision: str, dynamic: bool) -> None:
    if core < 0:
        raise UserError(f"there is no DLA core {core}; the first is 0")
    if precision == "fp32":
        raise UserError("a DLA computes in FP16 or INT8 only; add --fp16")
    if dynamic:
        raise UserError("a DLA supports one shape only; leave --dynamic out")
