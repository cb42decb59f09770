from __future__ import annotations

import dataclasses
from pathlib import Path

import onnx
import pytest
from n2b.export import engine as engine_module
from n2b.export.engine import choose_flavour
from n2b.export.exporter import engine_profile, export_model
from n2b.export.onnx.file import read_onnx
from n2b.export.settings import ExportSettings, Io
from n2b.export.source import Source, load_source
from n2b.export.tensorrt.options import BuilderOptions
from n2b.export.tensorrt.plan import BuildSettings
from n2b.export.tensorrt.profile import Profile, Shapes
from n2b.runtime.errors import EnvironmentFault, MissingPackageError, UserError, VerificationError
from n2b.runtime.model_info import ModelInfo
from n2b.runtime.system.files import sha256_of_file
from n2b.runtime.system.tensorrt import is_installed

from .conftest import Install, WriteModel, change_weight

needs_rtx = pytest.mark.skipif(
    not is_installed("tensorrt-rtx"), reason="needs the package tensorrt-rtx, which builds without a GPU"
)


@pytest.fixture
def source(bare: onnx.ModelProto, write_model: WriteModel) -> Source:
    return load_source(write_model(bare, "source.onnx"))


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_fp32_alone_is_the_default(source: Source, tmp_path: Path) -> None:
    out = tmp_path / "out"
    artifacts = export_model(source, out, ExportSettings(tile_px=64, target="none"))
    assert names_in(out) == ["model.onnx", "report.html"]
    (artifact,) = artifacts
    assert artifact.path == out / "model.onnx"
    assert artifact.size_bytes == artifact.path.stat().st_size
    assert artifact.agreement is not None
    assert artifact.agreement.largest_difference <= 1.001 / 255


@needs_rtx
def test_the_engine_is_built_from_fp16_when_there_is_fp16(source: Source, tmp_path: Path) -> None:
    for fp16, precision in ((False, "fp32"), (True, "fp16")):
        out = tmp_path / precision
        settings = ExportSettings(fp16=fp16, tile_px=64, target="tensorrt-rtx", verify=False)
        artifacts = export_model(source, out, settings)
        assert artifacts[-1].path == out / f"model.{precision}.engine"
        assert (out / f"model.{precision}.engine.json").is_file()
        assert artifacts[-1].precision == precision
    read, info = read_onnx(tmp_path / "fp16" / "model.fp16.onnx")
    assert info.precision == "fp16"
    assert len(read.SerializeToString()) < 0.7 * (tmp_path / "fp16" / "model.onnx").stat().st_size


def test_settings_reach_every_file(source: Source, tmp_path: Path) -> None:
    settings = ExportSettings(fp16=True, tile_px=96, batch=3, io="float32", target="none", verify=False)
    export_model(source, tmp_path / "out", settings)
    for name in ("model.onnx", "model.fp16.onnx"):
        model, info = read_onnx(tmp_path / "out" / name)
        dims = model.graph.input[0].type.tensor_type.shape.dim
        assert [dim.dim_value for dim in dims] == [3, 96, 96, 3]
        assert info.io == "float32"


def test_exporting_again_gives_the_same_bytes(source: Source, tmp_path: Path) -> None:
    settings = ExportSettings(fp16=True, tile_px=64, target="none", verify=False)
    for name in ("a", "b"):
        export_model(source, tmp_path / name, settings)
    for name in ("model.onnx", "model.fp16.onnx"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    _, info = read_onnx(tmp_path / "a" / "model.fp16.onnx")  # by which its engine will know its model.onnx
    assert info.sources["model.onnx"] == sha256_of_file(tmp_path / "a" / "model.onnx")


def test_a_failed_verification_leaves_nothing(source: Source, bare: onnx.ModelProto, tmp_path: Path) -> None:
    change_weight(bare, "down.3.weight", 1.5)
    damaged = Source(source.path, bare, source.info, source.reference)
    with pytest.raises(VerificationError, match=r"'down\.3'"):
        export_model(damaged, tmp_path / "out", ExportSettings(tile_px=64, target="none"))
    assert names_in(tmp_path) == ["source.onnx"]


def test_without_verification_nothing_is_run(source: Source, tmp_path: Path) -> None:
    settings = ExportSettings(tile_px=64, target="none", verify=False)
    (artifact,) = export_model(source, tmp_path / "out", settings)
    assert artifact.agreement is None


def test_an_engine_that_cannot_be_built_leaves_nothing(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, install_tensorrt: Install
) -> None:
    def fail(*_: object) -> ModelInfo:
        raise EnvironmentFault("out of memory")

    install_tensorrt("tensorrt")
    monkeypatch.setattr(engine_module, "build_engine", fail)
    with pytest.raises(EnvironmentFault, match="out of memory"):
        export_model(source, tmp_path / "out", ExportSettings(tile_px=64, verify=False))
    assert names_in(tmp_path) == ["source.onnx"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (ExportSettings(tile_px=100), "tiles of 100 px"),
        (ExportSettings(batch=0), "batch of 0"),
        (ExportSettings(workspace_gib=0), "workspace of 0 GiB"),
        (ExportSettings(workspace_gib=-1), "workspace of -1 GiB"),
        (ExportSettings(workspace_gib=float("nan")), "workspace of nan GiB"),
        (ExportSettings(workspace_gib=float("inf")), "workspace of inf GiB"),
        (ExportSettings(tile_px=2**80), "more than a tensor holds"),
        (ExportSettings(batch=2**20), "more than a tensor holds"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    source: Source, tmp_path: Path, settings: ExportSettings, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        export_model(source, tmp_path / "out", settings)
    assert names_in(tmp_path) == ["source.onnx"]


def test_tiles_that_the_halo_fills_are_warned_of(
    source: Source, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = ExportSettings(tile_px=32, target="none", verify=False)
    export_model(source, tmp_path / "out", settings)  # the halo is 16 px
    assert "tiles of 32 px are all overlap, which is 16 px on each side" in caplog.text


def test_the_flavour_is_the_one_named_or_the_first_installed(install_tensorrt: Install) -> None:
    install_tensorrt()
    assert choose_flavour("none") is None
    assert choose_flavour(None) is None
    install_tensorrt("tensorrt-rtx")
    assert choose_flavour(None) == "tensorrt-rtx"
    install_tensorrt("tensorrt", "tensorrt-rtx")
    assert choose_flavour(None) == "tensorrt"
    assert choose_flavour("none") is None


def test_a_flavour_that_is_named_and_missing_is_an_error(install_tensorrt: Install) -> None:
    install_tensorrt()
    with pytest.raises(MissingPackageError, match="tensorrt is not installed: pip install "):
        choose_flavour("tensorrt")


def test_a_static_engine_takes_the_tile_and_a_dynamic_one_the_shapes_that_are_named(source: Source) -> None:
    static = engine_profile(source, ExportSettings(tile_px=64, batch=2))
    assert static.smallest == static.best == static.largest == (2, 64, 64, 3)
    shapes = Shapes(largest=(4, 96, 160))
    dynamic = engine_profile(source, ExportSettings(tile_px=64, batch=2, dynamic=True, shapes=shapes))
    assert dynamic == Profile((1, 32, 32, 3), (2, 64, 64, 3), (4, 96, 160, 3))


def built_with(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: ExportSettings
) -> BuildSettings:
    asked: list[BuildSettings] = []

    def build(_onnx: Path, engine: Path, build_settings: BuildSettings) -> ModelInfo:
        asked.append(build_settings)
        engine.write_bytes(b"plan")
        precision = {"convolutions": {"fp32": 1}, "precision_read_from": "network"}
        return ModelInfo("unet", engine=precision)

    monkeypatch.setattr(engine_module, "build_engine", build)
    export_model(source, tmp_path / "out", settings)
    return asked[0]


def test_kernel_times_lie_in_the_user_s_cache_unless_named(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, install_tensorrt: Install
) -> None:
    install_tensorrt("tensorrt")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    settings = ExportSettings(tile_px=64, verify=False, workspace_gib=2.5)
    build = built_with(source, tmp_path, monkeypatch, settings)
    assert build.workspace_gib == 2.5
    assert build.timing_cache is not None
    assert build.timing_cache.parent == tmp_path / "cache" / "n2b"
    assert "10.3.0" in build.timing_cache.name
    named = ExportSettings(tile_px=64, verify=False, timing_cache=Path("mine"))
    assert built_with(source, tmp_path, monkeypatch, named).timing_cache == Path("mine")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (ExportSettings(timing_cache=Path("mine")), "tensorrt-rtx has no --timing-cache"),
        (
            ExportSettings(builder=BuilderOptions(hardware_compat=True)),
            "tensorrt-rtx has no --hardware-compat",
        ),
        (ExportSettings(shapes=Shapes(best=(1, 64, 64))), "--opt-shape is for engines of open size"),
        (ExportSettings(dynamic=True, shapes=Shapes(best=(1, 60, 64))), "multiples of 32"),
    ],
)
def test_impossible_engines_are_refused_before_any_work(
    source: Source, tmp_path: Path, install_tensorrt: Install, settings: ExportSettings, words: str
) -> None:
    install_tensorrt("tensorrt-rtx")
    lines: list[str] = []
    with pytest.raises(UserError, match=words):
        export_model(source, tmp_path / "out", settings, lines.append)
    assert lines == []
    assert names_in(tmp_path) == ["source.onnx"]


@pytest.mark.parametrize(("bit_depth", "io", "expected"), [
    (16, None, "float32"), (16, "uint8", "uint8"), (8, None, "uint8"), (None, None, "uint8"),
    (8, "float32", "float32"),
])  # fmt: skip
def test_a_model_trained_on_deep_images_takes_them_unless_told_otherwise(
    source: Source, tmp_path: Path, bit_depth: int | None, io: Io | None, expected: str
) -> None:
    trained = {} if bit_depth is None else {"bit_depth": bit_depth}
    source = dataclasses.replace(source, info=dataclasses.replace(source.info, trained=trained))
    settings = ExportSettings(tile_px=96, target="none", verify=False, io=io)
    (file,) = export_model(source, tmp_path, settings)
    assert read_onnx(file.path)[1].io == expected
