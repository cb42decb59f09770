from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from n2b.runtime.errors import ModelError
from n2b.training.noise_model import NoiseModel

from .models import simple_model


def test_a_saved_model_is_read_as_it_was(tmp_path: Path) -> None:
    model = simple_model()
    model.save(tmp_path / "noise.json")
    read = NoiseModel.load(tmp_path / "noise.json")
    for name in model.__dataclass_fields__:
        assert np.allclose(getattr(read, name), getattr(model, name)), name


def test_level_lies_between_the_knots() -> None:
    model = simple_model()
    model.image_level[1] = np.arange(17)
    assert np.allclose(model.level_at(1, np.array([0.0, 8.0, 256.0])), [0, 0.5, 16])


@pytest.mark.parametrize("spoil", ["format", "level", "source", "middle"])
def test_a_damaged_file_is_named(tmp_path: Path, spoil: str) -> None:
    values = simple_model().to_dict()
    values[spoil] = [9, 9] if spoil == "source" else "?"
    (tmp_path / "noise.json").write_text(json.dumps(values))
    with pytest.raises(ModelError):
        NoiseModel.load(tmp_path / "noise.json")


def test_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no noise model"):
        NoiseModel.load(tmp_path / "none.json")
