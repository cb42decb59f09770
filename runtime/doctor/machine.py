"""Report the CPU, the memory, the cameras, and the facts of a Jetson."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from ..backends.autotune_cache import cpu_name
from ..sources.devices import list_cameras
from ..system.memory import available_bytes, usable_cores
from .facts import CameraFacts, Jetson, Machine

_ROOT = Path("/")
_TIMEOUT_S = 10
# flags of /proc/cpuinfo, and their usual names
_FEATURES = {
    "avx2": "AVX2", "avx512f": "AVX-512", "avx_vnni": "VNNI", "avx512_vnni": "VNNI", "avx512_bf16": "BF16",
    "amx_tile": "AMX", "asimd": "NEON", "asimddp": "dot product", "i8mm": "I8MM", "bf16": "BF16",
    "sve": "SVE",
}  # fmt: skip
# releases of L4T, the system of Jetsons, the newest first: (L4T, JetPack)
_JETPACKS = (
    ((38, 4), "7.1"), ((38, 2), "7.0"), ((36, 5), "6.2.2"), ((36, 4, 4), "6.2.1"), ((36, 4, 3), "6.2"),
    ((36, 4), "6.1"), ((36, 3), "6.0"), ((35,), "5.1"),
)  # fmt: skip


def find_machine(root: Path = _ROOT) -> Machine:
    """Return the facts of this machine; `root` is the folder of proc/, sys/ and dev/."""
    free = available_bytes(root)
    total = _memory_bytes(root)
    return Machine(
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        cpu=cpu_name(),
        features=cpu_features(_read(root / "proc/cpuinfo")),
        cores=usable_cores(root),
        all_cores=os.cpu_count() or 1,
        free_mb=None if free is None else free / 1e6,
        memory_mb=None if total is None else total / 1e6,
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        is_container=_is_container(root),
    )


def cpu_features(cpuinfo: str) -> tuple[str, ...]:
    """Return the instruction sets in a /proc/cpuinfo that speed up a network, without repetition."""
    match = re.search(r"^(?:flags|Features)\s*:(.*)$", cpuinfo, re.MULTILINE)
    flags = set(match[1].split()) if match else set()
    return tuple(dict.fromkeys(name for flag, name in _FEATURES.items() if flag in flags))


def find_cameras(root: Path = _ROOT) -> tuple[CameraFacts, ...]:
    """Return the local cameras that Linux lists, and whether this user may open them."""
    return tuple(
        CameraFacts(camera.device, camera.name, os.access(root / camera.device[1:], os.R_OK | os.W_OK))
        for camera in list_cameras(root)
    )


def find_jetson(root: Path = _ROOT) -> Jetson | None:
    """Return the facts of a Jetson; None on other machines, and where a container hides its files."""
    release = _read(root / "etc/nv_tegra_release")
    if not release:
        return None
    match = re.search(r"R(\d+).*?REVISION:\s*([\d.]+)", release)
    l4t = f"{match[1]}.{match[2]}" if match else ""
    mode = re.search(r"NV Power Mode:\s*(.+)", _run("nvpmodel", "-q"))
    modes = re.findall(r"POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)", _read(root / "etc/nvpmodel.conf"))
    return Jetson(
        model=_read(root / "proc/device-tree/model").strip("\0 \n"),
        l4t=l4t,
        jetpack=jetpack_of(l4t),
        power_mode=mode[1].strip() if mode else None,
        power_modes=tuple(f"{number} {name}" for number, name in modes),
    )


def jetpack_of(l4t: str) -> str:
    """Return the JetPack release of a release of L4T, such as "6.2" for "36.4.3"; "" if unknown."""
    numbers = tuple(int(number) for number in re.findall(r"\d+", l4t))
    for first, jetpack in _JETPACKS:
        if numbers and numbers[0] == first[0] and numbers >= first:
            return jetpack
    return ""


def _memory_bytes(root: Path) -> int | None:
    match = re.search(r"^MemTotal:\s*(\d+)", _read(root / "proc/meminfo"), re.MULTILINE)
    limit = _read(root / "sys/fs/cgroup/memory.max").strip()
    amounts = [int(match[1]) * 1024] if match else []
    amounts += [int(limit)] if limit.isdecimal() else []
    return min(amounts, default=None)


def _is_container(root: Path) -> bool:
    marks = (root / ".dockerenv", root / "run/.containerenv")
    return any(mark.exists() for mark in marks) or "container" in os.environ  # systemd-nspawn, podman


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _run(*command: str) -> str:
    """Return what a program prints; "" if it is not there or fails."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
