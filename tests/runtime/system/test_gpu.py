from __future__ import annotations

import ctypes
from typing import Any

import pytest
from n2b.runtime.system.gpu import Gpu, find_gpu


class Driver:
    """A CUDA driver with `devices` GPUs."""

    def __init__(self, devices: int, *, init: int = 0) -> None:
        self._devices, self._init = devices, init

    def cuInit(self, _flags: int) -> int:  # noqa: N802
        return self._init

    def cuDeviceGet(self, _device: Any, ordinal: int) -> int:  # noqa: N802
        return 0 if ordinal < self._devices else 101

    def cuDeviceGetName(self, name: Any, length: int, _device: Any) -> int:  # noqa: N802
        assert length > 16
        name.value = b"Orin"
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, _device: Any) -> int:  # noqa: N802
        value._obj.value = {75: 8, 76: 7, 18: 1}[attribute]
        return 0


def install(monkeypatch: pytest.MonkeyPatch, driver: Driver | None) -> None:
    def load(_name: str) -> Driver:
        if driver is None:
            raise OSError("no such library")
        return driver

    monkeypatch.setattr(ctypes, "CDLL", load)


def test_the_first_gpu_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Driver(1))
    assert find_gpu() == Gpu("Orin", "8.7", integrated=True)
    assert find_gpu(1) is None


@pytest.mark.parametrize(
    "driver", [None, Driver(0), Driver(1, init=100)], ids=["no driver", "no GPU", "fails"]
)
def test_without_a_gpu_there_is_none(monkeypatch: pytest.MonkeyPatch, driver: Driver | None) -> None:
    install(monkeypatch, driver)
    assert find_gpu() is None
