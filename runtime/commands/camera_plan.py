"""Plan the cameras of a run: their names, addresses and outputs, of which no two share one."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError, short_repr
from ..system.packages import require
from .settings import CameraOptions

if TYPE_CHECKING:
    from ..sources import CameraSettings

_NAMED = re.compile(r"(?P<name>[A-Za-z][\w-]{0,63})=(?P<address>.+)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9][\w-]{0,63}")
_NAME_PLACE = "{name}"
_KEYS: dict[str, tuple[type, ...]] = {
    "name": (str,), "address": (str, int), "strength": (int, float), "output": (str,), "record": (str,),
    "restream": (str,), "virtual_camera": (str,), "width": (int,), "height": (int,), "fps": (int, float),
    "fourcc": (str,),
}  # fmt: skip


@dataclass(frozen=True)
class CameraPlan:
    """One camera of several, and where its frames go besides the page."""

    name: str
    address: str
    strength: float
    requested: CameraSettings
    folder: Path | None = None
    record: Path | None = None
    restream: str | None = None
    virtual_camera: str | None = None


def plan_cameras(options: CameraOptions, folder: Path | None, strength: float) -> list[CameraPlan]:
    """Return the cameras that options and their TOML file name.

    What the options say of all cameras, the file may say otherwise of one. The name of a camera takes the
    place of {name} in -o, --record and --restream; below -o each camera has a folder.

    Raises:
        UserError: the file is invalid, or two cameras have one name or one output.
    """
    entries = [*_from_options(options.camera), *(_from_file(options.cameras) if options.cameras else ())]
    plans = []
    for number, entry in enumerate(entries, 1):
        name = entry.get("name", f"camera-{number}")
        if not _NAME.fullmatch(name):
            raise UserError(f"'{name}' names no camera; use letters, digits, - and _")
        plans.append(_plan(entry, name, options, folder, strength))
    _check_apart(plans)
    return plans


def _from_options(cameras: Sequence[str]) -> list[dict[str, Any]]:
    entries = []
    for camera in cameras:
        match = _NAMED.fullmatch(camera)
        is_file = match is not None and Path(camera).exists()
        entries.append({"address": camera} if match is None or is_file else match.groupdict())
    return entries


def _from_file(path: Path) -> list[dict[str, Any]]:
    tomllib = require("tomllib" if sys.version_info >= (3, 11) else "tomli", package="tomli")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise UserError(f"{path} is no TOML file: {error}") from error
    entries = content.get("camera")
    if set(content) != {"camera"} or not isinstance(entries, list) or not entries:
        raise UserError(f"{path} must consist of [[camera]] tables; see docs/cameras.md")
    for entry in entries:
        for key, value in entry.items():
            if key not in _KEYS:
                raise UserError(f"{path}: a camera has no '{key}'; it takes {', '.join(_KEYS)}")
            if not isinstance(value, _KEYS[key]) or isinstance(value, bool):
                raise UserError(f"{path}: {key} is {short_repr(value)}")
        if "address" not in entry:
            raise UserError(f"{path}: a camera lacks its address")
        if not 0 <= entry.get("strength", 1) <= 1:
            raise UserError(f"{path}: strength is {entry['strength']}; it must be at least 0, at most 1")
    return entries


def _plan(
    entry: dict[str, Any], name: str, options: CameraOptions, folder: Path | None, strength: float
) -> CameraPlan:
    from ..sources import CameraSettings

    if "output" in entry:
        folder = Path(entry["output"])
    elif folder is not None and _NAME_PLACE not in str(folder):
        folder = folder / name
    record = entry.get("record", options.record)
    virtual_camera = entry.get("virtual_camera", options.virtual_camera)
    return CameraPlan(
        name=name,
        address=str(entry["address"]),
        strength=float(entry.get("strength", strength)),
        requested=CameraSettings(
            entry.get("width", options.width), entry.get("height", options.height),
            entry.get("fps", options.fps), entry.get("fourcc", options.fourcc),
        ),
        folder=None if folder is None else Path(str(folder).replace(_NAME_PLACE, name)),
        record=None if record is None else Path(str(record).replace(_NAME_PLACE, name)),
        restream=_named(entry.get("restream", options.restream), name),
        virtual_camera=virtual_camera,
    )  # fmt: skip


def _named(text: str | None, name: str) -> str | None:
    return None if text is None else text.replace(_NAME_PLACE, name)


def _check_apart(plans: Sequence[CameraPlan]) -> None:
    for what in ("name", "folder", "record", "restream", "virtual_camera"):
        owners: dict[str, str] = {}
        for plan in plans:
            value = getattr(plan, what)
            if value is None or (what, value) == ("virtual_camera", "auto"):
                continue
            key = str(value.resolve()) if isinstance(value, Path) else value
            if key in owners:
                if what == "name":
                    raise UserError(f"two cameras are called {plan.name}; name each: --camera NAME=ADDRESS")
                option = {"folder": "-o"}.get(what, f"--{what.replace('_', '-')}")
                raise UserError(
                    f"cameras {owners[key]} and {plan.name} have the same {option}; write "
                    f"{_NAME_PLACE} into it, or give each its own in the file of --cameras"
                )
            owners[key] = plan.name
