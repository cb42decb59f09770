"""Report the memory, the CPU cores and the cache folder that this process may use."""

from __future__ import annotations

import ctypes
import mmap
import os
from pathlib import Path

_ROOT = Path("/")
_CPUS = Path("sys/devices/system/cpu")
_CGROUP = Path("sys/fs/cgroup")  # of the container, where there is one
_limit: int | None = None  # of `usable_cores`, by `limit_cores`


class _MallInfo(ctypes.Structure):
    """glibc's struct mallinfo2: uordblks is allocated in arenas, hblkhd by mmap, in bytes."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
                     "fordblks", "keepcost")
    ]  # fmt: skip


def available_bytes(root: Path = _ROOT) -> int | None:
    """Return the memory that can be allocated without swapping; None if unavailable.

    Args:
        root: folder of proc/ and sys/.
    """
    amounts = [_machine_available(root), _container_available(root / _CGROUP)]
    return min((amount for amount in amounts if amount is not None), default=None)


def resident_bytes(root: Path = _ROOT) -> int | None:
    """Return the resident memory of this process; None if unavailable (only Linux reports it)."""
    try:
        return int((root / "proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE
    except OSError:
        return None


def allocated_bytes() -> int | None:
    """Return the memory allocated by malloc; None if unavailable (glibc 2.33 reports it)."""
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError, TypeError):
        return None
    mallinfo2.restype = _MallInfo
    info = mallinfo2()
    return info.uordblks + info.hblkhd


def release_free_memory() -> None:
    """Return memory that malloc keeps for reuse to the system, so that `resident_bytes` is in use."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # only glibc has it, and only glibc needs it
        return


def limit_cores(count: int) -> None:
    """Limit `usable_cores` from now on, in a process that shares its machine with others."""
    global _limit  # noqa: PLW0603
    _limit = count


def usable_cores(root: Path = _ROOT) -> int:
    """Return the number of cores that this process may use, by its affinity and its container's CPU quota.

    At least 1, at most `limit_cores`; under Linux, two hardware threads of a core count once.
    """
    cores = _existing_cores(root)
    return cores if _limit is None else min(cores, _limit)


def _existing_cores(root: Path) -> int:
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    cores = {_core_of(root / _CPUS, cpu) for cpu in os.sched_getaffinity(0)}
    share = _container_cores(root / _CGROUP)
    return max(1, len(cores) if share is None else min(len(cores), round(share)))


def cache_folder() -> Path:
    """Return the user's cache folder for n2b, which may not exist yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "n2b"


def _machine_available(root: Path) -> int | None:
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    kibibytes = _value_of("MemAvailable:", lines)
    return None if kibibytes is None else kibibytes * 1024


def _container_available(cgroup: Path) -> int | None:
    try:
        limit = (cgroup / "memory.max").read_text().strip()
        used = int((cgroup / "memory.current").read_text())
        lines = (cgroup / "memory.stat").read_text().splitlines()
    except OSError:
        return None
    if limit == "max":
        return None
    reclaimable = _value_of("inactive_file", lines) or 0  # cached files
    return max(0, int(limit) - used + reclaimable)


def _container_cores(cgroup: Path) -> float | None:
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except OSError:
        return None
    return None if quota == "max" else int(quota) / int(period)


def _core_of(cpus: Path, cpu: int) -> str:
    try:
        return (cpus / f"cpu{cpu}/topology/thread_siblings_list").read_text()
    except OSError:
        return str(cpu)


def _value_of(name: str, lines: list[str]) -> int | None:
    for line in lines:
        words = line.split()
        if words[:1] == [name]:
            return int(words[1])
    return None
