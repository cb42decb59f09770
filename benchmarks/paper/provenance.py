"""Where, when and by what a figure was made."""

from __future__ import annotations

import argparse
import platform
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from n2b.runtime.system.memory import usable_cores

_PACKAGES = ("n2b", "torch", "numpy", "bm3d", "scikit-image")


def provenance(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> dict[str, Any]:
    """`command`, `date`, `machine`, `versions`; folders by their last names only."""
    return {
        "command": public_command(parser, arguments),
        "date": date.today().isoformat(),
        "machine": _machine(arguments.device),
        "versions": {"Python": platform.python_version()} | {name: _version(name) for name in _PACKAGES},
    }


def public_command(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> str:
    """The command that repeats this: every option not at its default, save for where things are kept."""
    words = ["python -m benchmarks.paper"]
    for action in parser._actions:
        value = getattr(arguments, action.dest, None)
        if value == action.default or value is None or action.dest in ("out", "docs", "work", "resume"):
            continue
        flag = action.option_strings[-1]
        values = value if isinstance(value, list) else [value]
        words.append(" ".join([flag, *(_word(each) for each in values)]))
    return " ".join(words)


def _word(value: object) -> str:
    return value.resolve().name.upper() if isinstance(value, Path) else str(value)


def _machine(device: str) -> dict[str, Any]:
    import torch
    from n2b.training.device import resolve_device

    where = resolve_device(device)
    return {
        "processor": _processor(),
        "cores": _count(usable_cores(), "core"),
        "threads": _count(torch.get_num_threads(), "thread"),
        "gpu": torch.cuda.get_device_name(where) if where.type == "cuda" else None,
        "system": platform.system(),
    }


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
