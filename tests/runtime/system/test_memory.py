"""A container's limits count as the machine's."""

from __future__ import annotations

import ctypes
import mmap
import os
from pathlib import Path

import pytest
from n2b.runtime.system import memory as machine

MEMINFO = "MemTotal:       16000 kB\nMemFree:         1000 kB\nMemAvailable:    8000 kB\n"

needs_affinity = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinity on this system")


@pytest.fixture
def system(tmp_path):
    """system({"proc/meminfo": …}) writes files of /proc and /sys, and returns the folder in place of /."""

    def write(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def cgroup(limit: str) -> dict[str, str]:
    return {
        "sys/fs/cgroup/memory.max": f"{limit}\n",
        "sys/fs/cgroup/memory.current": "3000000\n",
        "sys/fs/cgroup/memory.stat": "anon 2000000\ninactive_file 500000\n",
    }


def test_memory_is_what_the_machine_can_spare(system):
    assert machine.available_bytes(system({"proc/meminfo": MEMINFO, **cgroup("max")})) == 8000 * 1024


def test_a_containers_limit_counts_less_what_is_used_and_does_not_give_way(system):
    assert machine.available_bytes(system({"proc/meminfo": MEMINFO, **cgroup("5000000")})) == 5000000 - (
        3000000 - 500000
    )


def test_a_container_over_its_limit_has_nothing_left(system):
    assert machine.available_bytes(system({"proc/meminfo": MEMINFO, **cgroup("1000000")})) == 0


def test_unknown_memory_is_none(tmp_path):
    assert machine.available_bytes(tmp_path) is None
    assert machine.resident_bytes(tmp_path) is None


@needs_affinity
@pytest.mark.parametrize(
    ("siblings", "quota", "cores"),
    [
        (["0", "1", "2", "3"], "max 100000", 4),
        (["0,2", "1,3", "0,2", "1,3"], "max 100000", 2),
        (["0", "1", "2", "3"], "150000 100000", 2),
        (["0", "1", "2", "3"], "20000 100000", 1),
    ],
)
def test_cores_are_counted_once_and_within_the_containers_share(system, monkeypatch, siblings, quota, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)))
    system(
        {
            f"sys/devices/system/cpu/cpu{i}/topology/thread_siblings_list": text
            for i, text in enumerate(siblings)
        }
    )
    root = system({"sys/fs/cgroup/cpu.max": f"{quota}\n"})
    assert machine.usable_cores(root) == cores


@needs_affinity
def test_without_topology_each_processor_is_a_core(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5, 7})
    assert machine.usable_cores(tmp_path) == 3


@pytest.mark.skipif(machine.resident_bytes() is None, reason="only Linux tells a process's memory")
def test_memory_of_this_process_grows_with_what_it_holds():
    before = machine.resident_bytes()
    with mmap.mmap(-1, 50_000_000) as held:  # fresh pages, where a heap might reuse what earlier tests freed
        for page in range(0, len(held), mmap.PAGESIZE):
            held[page] = 1
        after = machine.resident_bytes()
        assert before is not None and after is not None
        assert after - before > 0.9 * len(held)


@pytest.mark.skipif(machine.allocated_bytes() is None, reason="only glibc tells what malloc has handed out")
def test_memory_handed_out_counts_whether_it_was_free_before_or_not():
    before = machine.allocated_bytes()
    for _ in range(3):  # the second and third may lie where the first did
        held = ctypes.create_string_buffer(20_000_000)
        after = machine.allocated_bytes()
        assert before is not None and after is not None
        assert after - before == pytest.approx(len(held), rel=0.05)
        del held


def test_memory_that_malloc_does_not_tell_is_none(monkeypatch):
    monkeypatch.setattr(machine.ctypes, "CDLL", lambda _: object())
    assert machine.allocated_bytes() is None
