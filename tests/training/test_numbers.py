"""Numbers out of bounds are refused with the bounds, before anything is read or made."""

from __future__ import annotations

from typing import Any

import pytest
from n2b.export.settings import CalibrationSettings, ExportSettings
from n2b.runtime.commands.settings import CameraOptions, DenoiserOptions
from n2b.runtime.errors import UserError
from n2b.runtime.system.options import options_of
from n2b.training.config import TrainConfig


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", -1),
        ("seed", 2**63),
        ("seed", 10**23),
        ("learning_rate", float("inf")),
        ("learning_rate", float("nan")),
        ("learning_rate", 0.0),
        ("learning_rate", 1e9),
        ("minutes", float("inf")),
        ("minutes", 1e300),
        ("record_s", 1e12),
        ("batch", 10**9),
        ("batch", 10**400),
        ("patch_px", 10**6),
        ("warmup_steps", 10**30),
        ("checkpoint_every", 10**30),
        ("noise_gain", (0.5, float("inf"))),
        ("noise_gain", (0.5, 1e6)),
    ],
)
def test_a_number_of_a_training_out_of_bounds_is_refused(field: str, value: Any) -> None:
    length = {} if field == "minutes" else {"steps": 2}
    with pytest.raises(UserError, match=r"it must be|is a range LOW-HIGH"):
        TrainConfig(**{"noisy": ("x",), **length, field: value})


@pytest.mark.parametrize(
    "config", [TrainConfig, DenoiserOptions, CameraOptions, ExportSettings, CalibrationSettings]
)
def test_a_number_that_has_one_bound_has_both(config: type) -> None:
    for field, declared in options_of(config).items():
        lower = declared.minimum is not None or declared.above is not None
        upper = declared.maximum is not None or declared.below is not None
        assert lower == upper, field
