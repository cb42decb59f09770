"""What was found out about a model on this machine, kept in the user's cache folder for the next start."""

from __future__ import annotations

import hashlib
import json
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..system.files import sha256_of_file, write_atomically
from ..system.memory import cache_folder, usable_cores

_CPUINFO = Path("/proc/cpuinfo")


def entry_path(question: str, model: Path, packages: tuple[str, ...]) -> Path:
    """The file that holds a question's answer: by the model's bytes, the packages' versions, and the CPU.

    Args:
        question: a word, such as "fastest".
        model: the model's file.
        packages: the names of the packages that the answer depends on.
    """
    versions = [f"{package} {_version(package)}" for package in packages]
    parts = [sha256_of_file(model), *versions, cpu_name(), str(usable_cores())]
    return cache_folder() / f"{question}-{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:24]}.json"


def read_entry(path: Path) -> dict[str, Any] | None:
    """What was kept; None: nothing, or nothing legible."""
    try:
        fact = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return fact if isinstance(fact, dict) else None


def write_entry(path: Path, fact: dict[str, Any]) -> None:
    """Keep a fact; where the folder cannot be written it is found out again at the next start."""
    try:
        write_atomically(path, json.dumps(fact).encode())
    except UserError:
        return


@cache
def cpu_name() -> str:
    """The CPU's name, as its maker gave it where the system tells (Linux does)."""
    try:
        lines = _CPUINFO.read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "CPU part")))
    return next(names, "") or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # built from source, say
        return ""
