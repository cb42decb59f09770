"""Cache measurements of a model on this machine in the user's cache folder."""

from __future__ import annotations

import hashlib
import json
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..system.files import parse_json, sha256_of_file, write_atomically
from ..system.memory import cache_folder, usable_cores

_CPUINFO = Path("/proc/cpuinfo")


def entry_path(name: str, model: Path, packages: tuple[str, ...], *others: Path) -> Path:
    """Return the path of an entry, by the bytes of models, the versions of packages, and the CPU.

    Args:
        name: of the measurement, such as "fastest".
    """
    versions = [f"{package} {_version(package)}" for package in packages]
    parts = [*map(sha256_of_file, (model, *others)), *versions, cpu_name(), str(usable_cores())]
    return cache_folder() / f"{name}-{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:24]}.json"


def read_entry(path: Path) -> dict[str, Any] | None:
    """Read an entry; None if it is absent or damaged."""
    try:
        entry = parse_json(path.read_bytes())
    except (OSError, ValueError):
        return None
    return entry if isinstance(entry, dict) else None


def write_entry(path: Path, entry: dict[str, Any]) -> None:
    """Write an entry; if that fails, the next start measures again."""
    try:
        write_atomically(path, json.dumps(entry).encode())
    except UserError:
        return


@cache
def cpu_name() -> str:
    """Return the name of the CPU: its model under Linux, else its architecture."""
    try:
        lines = _CPUINFO.read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "CPU part")))
    return next(names, "") or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # e.g. built from source
        return ""
