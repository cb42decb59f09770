from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from n2b.calibration.ranges import METHODS, ActivationRanges, load_ranges, measure_ranges, range_of
from n2b.calibration.session import open_session, run_session, with_outputs
from n2b.runtime.errors import ModelError, UserError
from onnx import numpy_helper


def values_of(bare: onnx.ModelProto, tensor: str, batches: list[np.ndarray]) -> np.ndarray:
    session = open_session(with_outputs(bare, [tensor]), tensor)
    return np.concatenate([run_session(session, batch) for batch in batches])


def test_minmax_is_the_lowest_and_highest_of_all_tiles(
    bare: onnx.ModelProto, batches: list[np.ndarray]
) -> None:
    ranges = measure_ranges(bare, iter(batches), method="minmax")
    for tensor in ("first", "down.act", "concat", "output"):
        values = values_of(bare, tensor, batches)
        assert ranges[tensor] == pytest.approx((min(values.min(), 0), max(values.max(), 0)), abs=1e-6)
    assert ranges["input"][0] == 0


def test_the_other_methods_cut_off_the_tails(bare: onnx.ModelProto, batches: list[np.ndarray]) -> None:
    wide = measure_ranges(bare, batches, method="minmax")
    for method in ("percentile", "entropy"):
        narrow = measure_ranges(bare, batches, method=method)
        assert all(wide[name][0] <= low <= 0 <= high <= wide[name][1] for name, (low, high) in narrow.items())
        assert any(narrow[name] != wide[name] for name in narrow)


def test_what_only_passes_values_on_has_the_range_of_its_source(
    bare: onnx.ModelProto, batches: list[np.ndarray]
) -> None:
    ranges = measure_ranges(bare, batches, method="minmax")
    assert "pool" not in ranges and "resize" not in ranges
    assert range_of(bare, ranges, "pool") == ranges["first.act"]
    assert range_of(bare, ranges, "resize") == ranges["down.act"]
    with pytest.raises(ModelError, match=r"lack 'down\.act'"):
        range_of(bare, {"input": (0, 1)}, "resize")


def test_a_network_that_gives_no_numbers_is_refused(bare: onnx.ModelProto, batches: list[np.ndarray]) -> None:
    tensor = next(t for t in bare.graph.initializer if t.name == "down.weight")
    values = np.full_like(numpy_helper.to_array(tensor), np.inf)
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    with pytest.raises(ModelError, match="layer 'down' produces values that are not finite"):
        measure_ranges(bare, batches)


def test_an_unknown_method_is_refused(bare: onnx.ModelProto) -> None:
    with pytest.raises(UserError, match=", ".join(METHODS)):
        measure_ranges(bare, [], method="guess")


RANGES = ActivationRanges("minmax", "abc", {"input": (0.0, 1.0), "down": (-2.5, 3.0)}, {"count": 4})


def test_saved_ranges_come_back(tmp_path: Path) -> None:
    RANGES.save(tmp_path / "ranges.json")
    assert load_ranges(tmp_path / "ranges.json", "abc") == RANGES


def test_ranges_of_another_network_are_refused(tmp_path: Path) -> None:
    RANGES.save(tmp_path / "ranges.json")
    with pytest.raises(UserError, match="another network; leave out --ranges"):
        load_ranges(tmp_path / "ranges.json", "def")
    with pytest.raises(UserError, match="cannot be read"):
        load_ranges(tmp_path / "none.json", "abc")


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: [],
        lambda values: values | {"schema": 2},
        lambda values: values | {"method": "guess"},
        lambda values: values | {"ranges": {"input": [1, 0]}},
        lambda values: values | {"ranges": {"input": [0, "1"]}},
        lambda values: values | {"ranges": {"input": [0, 1, 2]}},
        lambda values: values | {"ranges": {"input": [-float("inf"), 1]}},
        lambda values: values | {"tiles": None},
    ],
)
def test_damaged_ranges_are_refused(tmp_path: Path, damage: Callable[[dict[str, Any]], Any]) -> None:
    path = tmp_path / "ranges.json"
    RANGES.save(path)
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    with pytest.raises(ModelError, match="leave out --ranges"):
        load_ranges(path, "abc")


def test_a_file_larger_than_ranges_can_be_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ranges.json"
    RANGES.save(path)
    path.write_bytes(path.read_bytes() + b" " * 16_000_000)
    with pytest.raises(ModelError, match="larger than 16 MB"):
        load_ranges(path, "abc")
