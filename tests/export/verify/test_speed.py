"""Speed of exported files."""

from __future__ import annotations

import pytest
from n2b.export.verify import speed
from n2b.runtime.system import timing as turns

COST_S = {"one.onnx": 0.5, "other.onnx": 0.25}


@pytest.fixture
def files(write_model, bare):
    return [write_model(bare, name, batch=2) for name in COST_S]


def test_files_run_in_turns_and_are_timed_by_the_megapixel(files, monkeypatch):
    ran, clock = [], [0.0]

    def run_session(name, batch):
        assert batch.shape == (2, 64, 64, 3)
        ran.append(name)
        clock[0] += COST_S[name]

    monkeypatch.setattr(speed, "open_session", lambda _path, name: name)
    monkeypatch.setattr(speed, "run_session", run_session)
    monkeypatch.setattr(turns.time, "perf_counter", lambda: clock[0])
    megapixels = 2 * 64 * 64 / 1e6
    assert speed.ms_per_megapixel(files) == pytest.approx([500 / megapixels, 250 / megapixels])
    assert ran == ["one.onnx", "other.onnx"] * 4


def test_they_run_for_real(files):
    milliseconds = speed.ms_per_megapixel(files)
    assert len(milliseconds) == 2 and min(milliseconds) > 0
