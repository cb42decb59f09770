from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from n2b.export.tensorrt.options import BuilderOptions, check_options
from n2b.export.tensorrt.profile import Shapes
from n2b.runtime.errors import UserError

SHAPES = Shapes(best=(1, 64, 64))


def check(options: BuilderOptions, flavour: str | None, **changes: Any) -> None:
    settings: dict[str, Any] = {"precision": "fp16", "dynamic": False, "shapes": Shapes()}
    settings |= {"timing_cache": None, "workspace_gib": None}
    check_options(options, flavour=flavour, **{**settings, **changes})


@pytest.mark.parametrize(
    ("options", "flavour"),
    [
        (BuilderOptions(), None),
        (BuilderOptions(), "tensorrt-rtx"),
        (BuilderOptions(portable=True), "tensorrt-rtx"),
        (BuilderOptions(level=0, hardware_compat=True, version_compat=True), "tensorrt"),
        (BuilderOptions(level=5, dla=0), "tensorrt"),
    ],
)
def test_options_of_a_flavour_are_accepted(options: BuilderOptions, flavour: str | None) -> None:
    check(options, flavour)


@pytest.mark.parametrize(
    ("options", "flavour", "words"),
    [
        (BuilderOptions(level=2), "tensorrt-rtx", "tensorrt-rtx has no --builder-level"),
        (BuilderOptions(hardware_compat=True), "tensorrt-rtx", "has no --hardware-compat; .*--portable"),
        (BuilderOptions(version_compat=True), "tensorrt-rtx", "tensorrt-rtx has no --version-compat"),
        (BuilderOptions(dla=0), "tensorrt-rtx", r"has no --dla; .*10\.0 to 10\.7 .*Orin.*11\.4"),
        (BuilderOptions(portable=True), "tensorrt", "tensorrt has no --portable; --hardware-compat"),
        (BuilderOptions(level=6), "tensorrt", "no builder level 6; choose one of 0 to 5"),
        (BuilderOptions(level=-1), "tensorrt", "no builder level -1"),
        (BuilderOptions(dla=-1), "tensorrt", "no DLA core -1; the first is 0"),
        (BuilderOptions(portable=True), None, "--portable is for engines, and none is built"),
    ],
)
def test_options_that_a_flavour_lacks_are_refused(
    options: BuilderOptions, flavour: str | None, words: str
) -> None:
    with pytest.raises(UserError, match=words) as caught:
        check(options, flavour)
    assert "\n" not in str(caught.value)


def test_a_dla_needs_a_narrow_type_and_one_shape() -> None:
    with pytest.raises(UserError, match="FP16 or INT8 only; add --fp16"):
        check(BuilderOptions(dla=0), "tensorrt", precision="fp32")
    with pytest.raises(UserError, match="one shape only; leave --dynamic out"):
        check(BuilderOptions(dla=0), "tensorrt", dynamic=True)
    check(BuilderOptions(dla=0), "tensorrt", precision="int8")


def test_shapes_are_for_dynamic_engines() -> None:
    with pytest.raises(UserError, match="--opt-shape is for engines of open size; add --dynamic"):
        check(BuilderOptions(), "tensorrt", shapes=SHAPES)
    with pytest.raises(UserError, match="--opt-shape is for engines, and none is built"):
        check(BuilderOptions(), None, shapes=SHAPES, dynamic=True)
    check(BuilderOptions(), "tensorrt", shapes=SHAPES, dynamic=True)


def test_kernel_times_are_kept_by_tensorrt_alone() -> None:
    check(BuilderOptions(), "tensorrt", timing_cache=Path("mine"))
    with pytest.raises(UserError, match="tensorrt-rtx has no --timing-cache"):
        check(BuilderOptions(), "tensorrt-rtx", timing_cache=Path("mine"))


@pytest.mark.parametrize("workspace_gib", [0, -1.0, float("nan"), float("inf")])
def test_a_workspace_is_a_positive_number(workspace_gib: float) -> None:
    for flavour in ("tensorrt", None):
        with pytest.raises(UserError, match=r"a workspace of .* GiB is impossible; name a positive number"):
            check(BuilderOptions(), flavour, workspace_gib=workspace_gib)
    check(BuilderOptions(), "tensorrt", workspace_gib=0.5)
