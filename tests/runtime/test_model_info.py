from __future__ import annotations

import json

import pytest
from n2b.runtime.errors import ModelError
from n2b.runtime.model_info import ModelInfo


def read(**values: object) -> ModelInfo:
    return ModelInfo.from_json(json.dumps({"schema": 1, "architecture": "unet", **values}), source="file")


def test_fields_of_a_newer_version_are_ignored() -> None:
    assert read(invented_later=3) == ModelInfo("unet")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"schema": 2}, "written by a newer n2b"),
        ({"schema": None}, "has no schema version"),
        ({"io": "uint16"}, "'io' is 'uint16', expected one of uint8, float32"),
        ({"size_multiple_px": 0}, "is 0"),
        ({"size_multiple_px": True}, "is True"),
        ({"size_multiple_px": -(10**4000)}, "'size_multiple_px' in its description is -1000"),
        ({"architecture": ["x" * 10**3] * 10**3}, "'architecture' in its description is"),
    ],
)
def test_invalid_values_are_refused_in_a_short_line(values: dict[str, object], words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        read(**values)
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("depth", [100, 300, 600, 900, 5000])
def test_a_description_is_read_only_if_it_can_be_written_again(depth: int) -> None:
    text = '{"schema": 1, "architecture": "unet", "trained": {"a": ' + "[" * depth + "]" * depth + "}}"
    try:
        info = ModelInfo.from_json(text, source="file")
    except ModelError as error:
        assert "nested too deep" in str(error) or "not valid JSON" in str(error)
        assert depth > 100
    else:
        assert ModelInfo.from_json(info.to_json(), source="file") == info
