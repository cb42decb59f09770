from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from n2b.export.tensorrt.config import save_timing_cache, use_timing_cache


class Config:
    """A builder configuration that takes timing caches which begin with `good`."""

    def __init__(self) -> None:
        self.cache: bytes | None = None

    def create_timing_cache(self, data: bytes) -> bytes | None:
        return None if data.startswith(b"damaged") else data

    def set_timing_cache(self, cache: bytes, *, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        if cache and not cache.startswith(b"good"):
            return False
        self.cache = cache
        return True

    def get_timing_cache(self) -> Any:
        cache = self.cache

        class Serializable:
            def serialize(self) -> bytes:
                return (cache or b"good") + b"+more"

        return Serializable()


def use(data: bytes | None, path: Path) -> Config:
    if data is not None:
        path.write_bytes(data)
    config: Any = Config()
    use_timing_cache(config, path)
    return config


def test_kernel_times_are_used_and_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "cache" / "kernels.timing"
    config: Any = use(None, path)
    assert config.cache == b""
    save_timing_cache(config, path)
    assert path.read_bytes() == b"good+more"
    assert use(None, path).cache == b"good+more"
    assert caplog.text == ""


@pytest.mark.parametrize("data", [b"damaged", b"of another GPU"])
def test_kernel_times_that_do_not_fit_are_measured_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, data: bytes
) -> None:
    assert use(data, tmp_path / "kernels.timing").cache == b""
    assert "measuring kernels again" in caplog.text


def test_kernel_times_that_cannot_be_kept_do_not_fail_the_build(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    config: Any = Config()
    save_timing_cache(config, tmp_path / "file" / "kernels.timing")
    assert "the timing cache was not saved" in caplog.text
