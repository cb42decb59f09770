from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from n2b.runtime.backends.tensorrt.engine_compat import Host, mismatch, onnx_beside, rebuild_arguments
from n2b.runtime.model_info import ModelInfo
from n2b.runtime.system.gpu import Gpu

ORIN, RTX_4090, RTX_2080 = Gpu("Orin", "8.7", True), Gpu("RTX 4090", "8.9"), Gpu("RTX 2080", "7.5")
H100, RTX_5090 = Gpu("H100", "9.0"), Gpu("RTX 5090", "12.0")
SHA = "ab" * 32


def engine(flavour: str = "tensorrt", **changes: Any) -> dict[str, Any]:
    described = {
        "flavour": flavour,
        "version": "10.3.0",
        "gpu": "Orin",
        "compute_capability": "8.7",
        "onnx": "model.fp16.onnx",
        "onnx_sha256": SHA,
        "profile": {"min": [1, 512, 512, 3], "opt": [1, 512, 512, 3], "max": [1, 512, 512, 3]},
    }
    return {**described, **changes}


def here(version: str = "10.3.0", gpu: Gpu | None = ORIN, sha256: str | None = SHA) -> Host:
    return Host(version, gpu, sha256)


def test_an_engine_fits_where_it_was_built() -> None:
    assert mismatch(engine(), here()) is None


def test_another_version_differs() -> None:
    for version in ("10.3.1", "10.13.0", "10.2.0", "11.4.1"):
        assert (
            mismatch(engine(), here(version))
            == f"it was built by tensorrt 10.3.0, and {version} is installed"
        )


def test_a_version_compatible_engine_takes_later_versions_by_number() -> None:
    compatible = engine(version_compat=True)
    for version in ("10.3.0", "10.13.0", "11.4.1"):
        assert mismatch(compatible, here(version)) is None
    reason = mismatch(compatible, here("10.2.9"))
    assert reason == "it takes tensorrt 10.3.0 and later, and 10.2.9 is installed"


def test_another_gpu_differs() -> None:
    reason = mismatch(engine(), here(gpu=RTX_4090))
    assert reason == "it was built on Orin (8.7), and this is RTX 4090 (8.9)"
    assert mismatch(engine(), here(gpu=Gpu("RTX 4080", "8.7"))) is not None
    assert mismatch(engine(), here(gpu=Gpu("Orin", "8.9"))) is not None


def test_a_hardware_compatible_engine_takes_ampere_and_later() -> None:
    compatible = engine(hardware_compat=True)
    for gpu in (ORIN, RTX_4090, H100, RTX_5090):
        assert mismatch(compatible, here(gpu=gpu)) is None
    reason = mismatch(compatible, here(gpu=RTX_2080))
    assert reason == "it needs a GPU of compute capability 8.0 or later, and this is RTX 2080 (7.5)"


def test_an_engine_of_tensorrt_rtx_takes_ampere_and_later_wherever_it_was_built() -> None:
    rtx = engine("tensorrt-rtx", gpu=None, compute_capability=None, portable=None)
    for gpu in (RTX_4090, RTX_5090):
        assert mismatch(rtx, here(gpu=gpu)) is None
    assert "8.0 or later" in (mismatch(rtx, here(gpu=RTX_2080)) or "")


def test_a_portable_engine_takes_what_it_names() -> None:
    portable = engine("tensorrt-rtx", portable=["12.0", "7.5", "8.9"])
    for gpu in (RTX_2080, RTX_4090, RTX_5090):
        assert mismatch(portable, here(gpu=gpu)) is None
    assert "7.5 or later" in (mismatch(portable, here(gpu=Gpu("V100", "7.0"))) or "")


def test_another_onnx_file_beside_it_differs() -> None:
    reason = mismatch(engine(), here(sha256="cd" * 32))
    assert reason == "it was built from another model.fp16.onnx than the one next to it"


def test_what_is_not_known_is_not_compared() -> None:
    assert mismatch(engine(), here(gpu=None, sha256=None)) is None
    assert mismatch({"flavour": "tensorrt"}, here()) is None
    assert mismatch(engine(gpu=None, compute_capability=None), here(gpu=RTX_4090)) is None


@pytest.mark.parametrize(
    ("changes", "sources", "expected"),
    [
        ({}, {}, "model.fp16.onnx"),
        ({"onnx": None}, {"model.onnx": "cd" * 32, "old.onnx": SHA}, "old.onnx"),
        ({"onnx": None}, {}, None),
        ({"onnx": None, "onnx_sha256": None}, {"old.onnx": SHA}, None),
        ({"onnx": "/etc/passwd"}, {}, "passwd"),
        ({"onnx": 7}, {}, None),
        ({"onnx": ".."}, {}, None),
    ],
)
def test_the_onnx_file_lies_beside_the_engine(
    changes: dict[str, Any], sources: dict[str, str], expected: str | None
) -> None:
    info = ModelInfo("unet", sources=sources, engine=engine(**changes))
    found = onnx_beside(Path("exports/model.engine"), info)
    assert found == (None if expected is None else Path("exports") / expected)


def arguments(**changes: Any) -> str:
    onnx, model = Path("out/model.fp16.onnx"), Path("out/model.engine")
    return " ".join(rebuild_arguments(model, onnx, engine(**changes)))


def test_a_plain_engine_is_rebuilt_from_its_onnx_file() -> None:
    assert arguments() == "out/model.fp16.onnx --engine out/model.engine --target tensorrt"


def test_shapes_and_options_are_those_that_it_was_built_with() -> None:
    shapes = {"min": [1, 32, 32, 3], "opt": [2, 256, 256, 3], "max": [4, 512, 640, 3]}
    assert arguments(profile=shapes, dynamic=True).endswith(
        "--min-shape 1x32x32 --opt-shape 2x256x256 --max-shape 4x512x640"
    )
    same = {name: [1, 64, 64, 3] for name in shapes}
    assert arguments(profile=same, dynamic=True).count("1x64x64") == 3
    reason = arguments(
        workspace_gib=0.5, builder_level=0, dla=0, hardware_compat=True, version_compat=True, portable=None
    )
    assert reason.endswith("--workspace 0.5 --builder-level 0 --dla 0 --hardware-compat --version-compat")
    assert arguments(portable=["7.5", "8.0"]).endswith(" --portable")


@pytest.mark.parametrize("profile", [None, "none", [], {"min": 1, "max": 2}, {"min": None}])
def test_a_damaged_profile_is_left_out(profile: Any) -> None:
    assert "shape" not in arguments(profile=profile)


@pytest.mark.parametrize(
    "version", ["9" * 5000, "1." * 5000, "\x1b[31m", 10**4000, ["10.3.0"] * 10_000, {}, None]
)
def test_whatever_a_description_says_of_its_version_is_compared(version: Any) -> None:
    for name in ("version", "compute_capability"):
        mismatch(engine(**{name: version}), here())
    mismatch(engine("tensorrt-rtx", portable=[version]), here())
